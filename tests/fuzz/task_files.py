"""Samples of files of questions, answers, hypotheses, captions and vocabularies."""

import json
from pathlib import Path

import numpy as np
from samples import Sample, write_json, write_lines


def _questions(folder: Path) -> tuple[Path, Path]:
    questions = [{"question_id": i, "image_id": i // 2, "question": "What?"} for i in range(6)]
    annotations = [
        {**one, "answers": [{"answer": "yes"}] * 3, "answer_type": "yes/no"} for one in questions
    ]
    return (
        write_json(folder / "questions.json", {"questions": questions}),
        write_json(folder / "annotations.json", {"annotations": annotations}),
    )


def vqa_questions(folder: Path) -> Sample:
    from clipnav.vl_tasks.data.questions import read_questions

    path, annotations = _questions(folder)
    return path, lambda: (read_questions(path), read_questions(path, annotations))


def vqa_annotations(folder: Path) -> Sample:
    from clipnav.vl_tasks.data.questions import read_questions

    questions, path = _questions(folder)
    return path, lambda: read_questions(questions, path)


def vqa_submission(folder: Path) -> Sample:
    from clipnav.vl_tasks.data.questions import read_questions
    from clipnav.vl_tasks.vqa.submissions import read_submission, read_sure_submission

    questions = read_questions(_questions(folder)[0])
    answers = [{"question_id": i, "answer": "yes", "confidence": 0.5} for i in range(6)]
    path = write_json(folder / "answers.json", answers)
    return path, lambda: (
        read_submission(path, questions),
        read_sure_submission(path, questions),
    )


def easy_vqa(folder: Path) -> Sample:
    from PIL import Image

    from clipnav.vl_tasks.data.easy_vqa import convert_easy_vqa

    (folder / "train" / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "train" / "images" / "0.png")
    rows = [["is there a circle?", "yes", 0], ["what shape is it?", "circle", 0]] * 4
    path = write_json(folder / "train" / "questions.json", rows)
    return path, lambda: convert_easy_vqa(folder / "out", folder, ["train"])


def multilingual_tsv(folder: Path) -> Sample:
    from clipnav.vl_tasks.multilingual.questions import read_tsv

    path = folder / "train.tsv"
    tags = ["en", "fr"] * 4
    rows = [f"{i // 2}.jpg\twhat is it?\tlamp\twhat is\t{tag}" for i, tag in enumerate(tags)]
    header = "image_file\tquestion\tanswer_label\tquestion_type\tlang"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path, lambda: read_tsv(path, None, {})


def translated_questions(folder: Path) -> Sample:
    from clipnav.vl_tasks.multilingual.questions import read_language_questions

    questions, _ = _questions(folder / "data")
    questions.rename(folder / "data" / "val_questions.json")
    (folder / "data" / "annotations.json").rename(folder / "data" / "val_annotations.json")
    own = folder / "data" / "languages" / "fr"
    own.mkdir(parents=True)
    path = own / "val_questions.json"
    path.write_bytes((folder / "data" / "val_questions.json").read_bytes())
    return path, lambda: read_language_questions(folder / "data", "val", ("en", "fr"))


def answers_json(folder: Path) -> Sample:
    from clipnav.vl_tasks.classification.answers import AnswerVocabulary

    path = write_json(folder / "answers.json", {f"answer {i}": i for i in range(9)})
    return path, lambda: AnswerVocabulary.load(path)


def answers_text(folder: Path) -> Sample:
    from clipnav.vl_tasks.classification.answers import AnswerVocabulary

    path = folder / "answers.txt"
    path.write_text("".join(f"answer {i}\n" for i in range(9)))
    return path, lambda: AnswerVocabulary.load(path)


def hypotheses(folder: Path) -> Sample:
    from clipnav.vl_tasks.data.pairs import read_hypotheses

    records = [
        {"Flickr30K_ID": str(i), "pairID": f"{i}.jpg#0r1n", "sentence2": "A dog.", "gold_label": g}
        for i, g in enumerate(["neutral", "entailment", "contradiction", "-"] * 2)
    ]
    path = write_lines(folder / "snli_ve_train.jsonl", records)
    return path, lambda: read_hypotheses(path)


def gqa_questions(folder: Path) -> Sample:
    from clipnav.vl_tasks.gqa.questions import read_gqa_questions

    question = {
        "question": "What colour is the sofa?",
        "answer": "red",
        "isBalanced": True,
        "types": {"structural": "query", "semantic": "attr", "detailed": "colour"},
        "groups": {"global": "colour", "local": "sofa"},
        "semantic": [{"operation": "select", "argument": "sofa", "dependencies": []}],
        "entailed": ["1"],
    }
    path = write_json(folder / "questions.json", {str(i): question for i in range(5)})
    return path, lambda: read_gqa_questions(path)


def gqa_choices(folder: Path) -> Sample:
    from clipnav.vl_tasks.gqa.questions import read_gqa_choices

    choices = {str(i): {"valid": ["red", "blue"], "plausible": ["red"]} for i in range(9)}
    path = write_json(folder / "choices.json", choices)
    return path, lambda: read_gqa_choices(path)


def gqa_predictions(folder: Path) -> Sample:
    from clipnav.vl_tasks.gqa.questions import read_gqa_questions
    from clipnav.vl_tasks.gqa.scores import read_gqa_predictions

    questions = read_gqa_questions(gqa_questions(folder)[0])
    path = write_json(
        folder / "predictions.json", [{"questionId": str(i), "prediction": "red"} for i in range(5)]
    )
    return path, lambda: read_gqa_predictions(path, questions)


def captions(folder: Path) -> Sample:
    from clipnav.vl_tasks.data.captions import read_any_references, read_captions

    images = [
        {
            "filepath": "train2014",
            "filename": f"COCO_train2014_{i:012d}.jpg",
            "cocoid": i,
            "split": "train",
            "sentences": [{"tokens": ["a", "red", "sofa"], "raw": "A red sofa."}],
        }
        for i in range(6)
    ]
    path = write_json(folder / "dataset_coco.json", {"images": images})
    return path, lambda: (read_captions(path, "train"), read_any_references(path))


def caption_references(folder: Path) -> Sample:
    from clipnav.vl_tasks.data.captions import read_any_references

    rows = [{"image_id": i // 2, "id": i, "caption": "A red sofa."} for i in range(8)]
    path = write_json(folder / "captions_val2014.json", {"annotations": rows})
    return path, lambda: read_any_references(path)


def caption_results(folder: Path) -> Sample:
    from clipnav.vl_tasks.data.captions import read_results

    rows = [{"image_id": i, "caption": "A red sofa."} for i in range(8)]
    path = write_json(folder / "results.json", rows)
    return path, lambda: read_results(path)


def _own_questions(folder: Path, name: str, text: str) -> Sample:
    from clipnav.vl_tasks.data.own_questions import read_own_questions

    path = folder / name
    path.write_text(text)
    return path, lambda: read_own_questions(path)


def own_questions(folder: Path) -> Sample:
    rows = "".join(f'{k}.jpg,"What, in fact, is it?",lamp|light\n' for k in range(6))
    return _own_questions(folder, "questions.csv", f"image,question,answer\n{rows}")


def own_questions_json(folder: Path) -> Sample:
    record = {"image": "0.jpg", "question": "What is it?", "answer": "lamp"}
    return _own_questions(folder, "questions.json", json.dumps([record] * 3))


def regions(folder: Path) -> Sample:
    from clipnav.vl_tasks.grids.regions import read_regions

    path = folder / "COCO_val2014_000000000042.jpg.npz"
    x, boxes = np.ones((8, 3), np.float32), np.ones((3, 4), np.float32)
    np.savez(path, x=x, bbox=boxes, num_bbox=3)
    return path, lambda: read_regions(path)


def regions_packed(folder: Path) -> Sample:
    from clipnav.vl_tasks.grids.regions import read_regions

    path = folder / "42.npz"
    np.savez_compressed(path, num_bbox=3, x=np.ones((3, 8), np.float32))
    return path, lambda: read_regions(path, in_rows=True)


def glove(folder: Path) -> Sample:
    from clipnav.vl_tasks.text.sentences import read_glove
    from clipnav.vl_tasks.text.vocabulary import Vocabulary

    words = Vocabulary(["red", "sofa", "door", "left"])
    path = folder / "glove.6B.5d.txt"
    path.write_text("".join(f"{word} 0.1 -0.25 0.5 1 2\n" for word in (*words.words, "lamp")))
    return path, lambda: read_glove(path, words)
