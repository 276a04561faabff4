"""Small files of talks in the formats that people have."""

import csv
import io
import json

import polars

NAMES = {
    "sharegpt": {"system": "system", "user": "human", "assistant": "gpt"},
    "sgd": {"user": "USER", "assistant": "SYSTEM"},
}


def as_lines(records):
    return "\n".join(json.dumps(record) for record in records) + "\n"


def messages(turns):
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def sharegpt(turns):
    return {"id": "x", "conversations": [{"from": NAMES["sharegpt"][role], "value": text} for role, text in turns]}


def dialogue(place, turns):
    said = [{"frames": [], "speaker": NAMES["sgd"][role], "utterance": text} for role, text in turns]
    return {"dialogue_id": f"9_{place:05d}", "services": ["Hotels_2", "Taxi_1"][: place + 1], "turns": said}


def delimited(rows, mark=","):
    out = io.StringIO()
    csv.writer(out, delimiter=mark).writerows(rows)
    return out.getvalue()


def parquet(columns):
    out = io.BytesIO()
    polars.DataFrame(columns).write_parquet(out)
    return out.getvalue()


def both(question, answer):
    return [("user", question), ("assistant", answer)]


def put(folder, name, content):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def turns_of(talks):
    return [[(turn.role, turn.text) for turn in talk.turns] for talk in talks.talks]
