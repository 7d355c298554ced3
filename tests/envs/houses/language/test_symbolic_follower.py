import numpy as np
import pytest

from clipnav.envs.houses.instructions.writing import realise_acts
from clipnav.envs.houses.language.acts import Act, Mention
from clipnav.envs.houses.language.annotators import Writer, annotators_of
from clipnav.envs.houses.language.grammar import parse
from clipnav.envs.houses.language.grammars.languages import TAGS, language_of
from clipnav.envs.houses.language.plan import Planner, with_statements
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.symbolic_follower import follow, follow_online, walks
from clipnav.envs.houses.survey.visibility import Survey

# Five viewpoints in a hallway that forks at its end, and no objects.
FORK = np.array([[0.0, 0.0], [0.0, 2.0], [0.0, 4.0], [-2.0, 4.0], [2.0, 4.0]])


@pytest.fixture(scope="module")
def fork() -> Sight:
    edges = np.zeros((5, 5), bool)
    for i, j in [(0, 1), (1, 2), (2, 3), (2, 4)]:
        edges[i, j] = edges[j, i] = True
    names = tuple(f"v{i}" for i in range(5))
    none = np.zeros((5, 12, 0)), np.zeros((5, 0))
    return Sight(Survey("fork", names, FORK, edges, np.zeros(5, int), ("hallway",), (), *none))


def test_walks_visit_no_viewpoint_twice(fork):
    along = Act("along", "hallway")
    assert set(walks(fork, along, 1, (0, 1))) == {(1, 2), (1, 2, 3), (1, 2, 4)}
    across = Act("across", mention=Mention("rug"))
    assert set(walks(fork, across, 2, (2,))) == {(2, 1), (2, 3), (2, 4)}
    assert set(walks(fork, Act("straight"), 1, (1,))) == {(1, 0), (1, 2)}
    assert set(walks(fork, Act("up"), 0, (0,))) == set()


def test_stairs_are_walked_as_stairs(sight):
    assert set(walks(sight, Act("up"), 5, (5,))) == {(5, 12), (5, 12, 13)}
    assert set(walks(sight, Act("down"), 12, (12,))) == {(12, 5)}


def test_a_turn_determines_the_next_edge(fork):
    go = [Act("along", "hallway", metres=4), Act("turn", side="left"), Act("straight")]
    followed = follow(fork, go, 0, 0.0)
    assert followed.path == (0, 1, 2, 3)
    assert followed.ends == {3}
    assert followed.is_complete
    go[1] = Act("turn", side="right")
    assert follow(fork, go, 0, 0.0).path == (0, 1, 2, 4)


def test_all_interpretations_are_kept(fork):
    followed = follow(fork, [Act("along", "hallway")], 0, 0.0)
    assert followed.ends == {1, 2, 3, 4}
    assert followed.path == (0, 1)  # the shortest


def test_a_follower_without_a_map_goes_on_until_the_next_act_can_begin(fork):
    acts = [Act("along", "hallway"), Act("turn", side="left"), Act("straight")]
    assert follow_online(fork, acts, 0, 0.0) == (0, 1, 2, 3)
    acts[1] = Act("turn", side="right")
    assert follow_online(fork, acts, 0, 0.0) == (0, 1, 2, 4)


def test_a_follower_without_a_map_does_not_foresee_later_acts(sight):
    past = Act("past", mention=Mention("coat rack"))
    enter, stop = Act("enter", "bedroom"), Act("stop", mention=Mention("desk"))
    # Beyond the coat rack no bedroom is in sight, and the walk ends after three more edges.
    assert follow_online(sight, [past, enter, stop], 0, 0.0) == (0, 1, 2, 3, 4, 5)
    assert follow_online(sight, [Act("enter", "kitchen"), stop], 1, 0.0) == (1, 2, 8)
    assert follow_online(sight, [Act("up"), stop], 0, 0.0) == (0,)


def test_following_ends_at_the_first_act_that_does_not_fit(fork):
    acts = [Act("straight"), Act("enter", "kitchen"), Act("straight")]
    followed = follow(fork, acts, 0, 0.0)
    assert not followed.is_complete
    assert followed.path == (0, 1)
    assert follow(fork, [], 0, 0.0).path == (0,)


def test_statements_rule_out_interpretations(sight):
    walk = Act("along", "hallway")
    assert follow(sight, [walk], 2, 0.0).ends == {3, 4, 5, 1, 0}
    statement = Act("see", mention=Mention("statue"), side="right")
    # From 3 the statue is nearly ahead, and on the walk south no statue is visible.
    assert follow(sight, [walk, statement], 2, 0.0).ends == {4, 5}


ENGLISH = (
    "You are in the bedroom. Walk out of the bedroom, then turn right and go past the coat rack "
    "on your left. Go all the way to the end of the hallway. Climb the stairs and walk to the end "
    "of the landing. Turn right, then go into the library with the bookshelf. "
    "Stop next to the globe."
)
HINDI = (
    "आप बेडरूम में हैं। बेडरूम से बाहर निकलकर दाएँ मुड़ें और बाईं ओर के कोट टाँगने के स्टैंड के पास से "
    "गुज़रें। गलियारे के अंत तक जाएँ, फिर सीढ़ियों से ऊपर जाएँ। ऊपर के गलियारे के आख़िरी छोर तक चलकर दाएँ मुड़ें "
    "और किताबों की अलमारी वाले पुस्तकालय में जाएँ। नीले ग्लोब के पास रुकें।"
)
TELUGU = (
    "మీరు పడకగదిలో ఉన్నారు. పడకగది నుండి బయటకు వెళ్ళి, కుడివైపు తిరిగి ఎడమవైపు ఉన్న కోట్ల స్టాండును దాటండి. "
    "నడవ చివరి వరకు నడిచి మెట్లు ఎక్కండి. పై నడవ చివరి దాకా వెళ్ళి, కుడివైపు తిరిగి, "
    "పుస్తకాల అల్మారా ఉన్న గ్రంథాలయంలోకి వెళ్ళండి. నీలి రంగు గ్లోబు పక్కన ఆగండి."
)


@pytest.mark.parametrize(("tag", "text"), [("en-US", ENGLISH), ("hi-IN", HINDI), ("te-IN", TELUGU)])
def test_texts_in_three_languages_lead_upstairs(sight, tag, text):
    acts = parse(language_of(tag), text)
    assert acts
    # Without the "stop" act, the walk ends right after "enter".
    followed = follow(sight, acts[:-1], 7, -np.pi / 2)
    assert followed.is_complete
    assert followed.path == (7, 6, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15)
    assert follow(sight, acts, 0, 0.0).is_complete is False  # it does not start in a bedroom


@pytest.mark.parametrize("tag", TAGS)
def test_texts_lead_to_their_goals_and_not_to_others(sight, routes, tag):
    rng, planner = np.random.default_rng(0), Planner(sight)
    language = language_of(tag)
    goals = [(7, 16), (16, 9), (9, 11), (11, 16)]
    parsed = []
    for start, goal in goals:
        for _ in range(5):
            path = routes.path(start, goal)
            writer = Writer(annotators_of(tag)[0], rng)
            plan = planner.plan(path, 1.0, writer)
            assert plan is not None
            text = realise_acts(language, with_statements(plan, 3, writer), writer).text
            acts = parse(language, text)
            assert acts, text
            assert follow(sight, acts, start, 1.0).ends == {goal}
            parsed.append((goal, acts))
    for start, goal in goals:
        for other, acts in parsed:
            if other != goal:
                assert follow(sight, acts, start, 1.0).path[-1] != goal
