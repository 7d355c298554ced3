import msgspec
import pytest

from clipnav.vl_tasks.data.documents import AnnotationError, read_document, read_table


class _Row(msgspec.Struct):
    question_id: int
    text: str


class _File(msgspec.Struct):
    rows: list[_Row]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"rows": [{"question_id": 7, "text": "a"}, {"question_id": 8}]}', "question_id 8"),
        ('{"rows": [{"question_id": 7, "text": 3}]}', "field 'text': expected str, got int"),
        ('{"rows": [{"question_id": 7, "tex', "not valid JSON"),
        ('{"lines": []}', "missing required field rows"),
        ("[]", "Expected object"),
        ('{"rows": [{"x": ' + "[" * 100_000, "not valid JSON"),
        ('{"rows": [{"question_id": 7, "text": 3}, {"questi', "field 'text'"),  # two faults
        ('{"rows": [{"text": 3, "question_id": "a\\nb"}]}', "record 0"),
        ('{"rows": [{"question_id": "%s"}]}' % ("9" * 5000), "field 'question_id'"),
        ('{"rows": [{"question_id": 1, "text": 2}], "rows": []}', "field 'text'"),
    ],
)
def test_errors_name_the_damage(tmp_path, text, complaint):
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(AnnotationError) as raised:
        read_document(path, _File, "fetch it again")
    message = str(raised.value)
    assert message.startswith(str(path))
    assert complaint in message
    assert message.endswith("fetch it again")
    assert "\n" not in message
    assert len(message) < 1000


def test_a_byte_order_mark_is_skipped(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"rows": [{"question_id": 7, "text": "a"}]}', encoding="utf-8-sig")
    assert read_document(path, _File, "") == _File([_Row(7, "a")])
    path.write_text('{"first": {"question_id": 7, "text": "a"}}', encoding="utf-8-sig")
    assert read_table(path, _Row, "") == {"first": _Row(7, "a")}
    path.write_text('{"first": {"question_id": 7}}', encoding="utf-8-sig")
    with pytest.raises(AnnotationError, match="record first: Object missing required field text"):
        read_table(path, _Row, "")
