import pytest

from clipnav.vl_tasks.house_tasks.gqa_files import AnswerChoices, scene_graph
from clipnav.vl_tasks.house_tasks.gqa_questions import QuestionScene
from clipnav.vl_tasks.house_tasks.images import HouseImage, Thing


def _scene(number, room, *things):
    return QuestionScene(HouseImage(number, f"{number}.jpg", "", things, room, frozenset({room})))


@pytest.fixture(scope="module")
def scenes():
    def sofa(colour):
        return Thing("sofa", colour, 0.3, -0.5, 2.0, 3, (0, 8, 20, 10))

    def lamp(across):
        return Thing("lamp", "grey", 0.1, across, 4.0, 5, (30, 2, 4, 16))

    small = Thing("rug", "blue", 0.003, 0.0, 4.0, 9)
    return [
        _scene(1, "office", sofa("red"), lamp(0.5), small),
        _scene(2, "gym", sofa("blue"), lamp(0.4)),
        _scene(3, "kitchen", lamp(0.9)),
    ]


@pytest.mark.parametrize(
    ("kind", "subject", "valid", "plausible"),
    [
        ("existence", ("rack",), ["yes", "no"], ["yes", "no"]),
        ("colour", ("sofa",), ["blue", "grey", "red"], ["blue", "red"]),
        ("choose-colour", ("sofa", "grey", "red"), ["grey", "red"], ["red"]),
        ("room", (), ["gym", "kitchen", "office"], ["gym", "office"]),
        ("choose-room", ("kitchen", "office"), ["kitchen", "office"], ["office"]),
        ("nearer", ("lamp", "sofa"), ["lamp", "sofa"], ["lamp", "sofa"]),
        ("position", ("sofa",), ["left", "middle", "right"], ["left", "middle", "right"]),
        ("choose-side", ("lamp", "sofa"), ["left", "right"], ["left", "right"]),
        ("same-colour", ("lamp", "sofa"), ["yes", "no"], ["yes", "no"]),
    ],
)
def test_answers_are_valid_in_scope_and_plausible_if_some_image_shows_them(
    scenes, kind, subject, valid, plausible
):
    question = scenes[0].question(kind, subject)
    choices = AnswerChoices(scenes).of(question, scenes[0])
    assert choices == {"valid": valid, "plausible": plausible}
    assert question.answer in plausible


def test_scene_graphs_contain_clear_objects_and_their_sides(scenes):
    graph = scene_graph(scenes[0], 40)
    assert (graph["width"], graph["height"], graph["location"]) == (40, 40, "office")
    assert graph["objects"].keys() == {"3", "5"}
    sofa = graph["objects"]["3"]
    assert (sofa["name"], sofa["attributes"]) == ("sofa", ["red"])
    assert [sofa[name] for name in "xywh"] == [0, 8, 20, 10]
    assert sofa["relations"] == [{"name": "to the left of", "object": "5"}]
    assert graph["objects"]["5"]["relations"] == [{"name": "to the right of", "object": "3"}]
