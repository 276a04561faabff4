"""Tables: forms, encodings, columns, and what the answers are."""

import csv
import gzip
import io
import json

import polars
import pytest
from PIL import Image

from headstart.data.dataset import Options
from headstart.data.labelled import when
from headstart.data.read import read
from headstart.data.tables import from_delimited
from headstart.errors import DataError, UsageError

TEXTS = ["a fine day", "rain, again", 'she said "no"', "two\nlines", "naïve café", "; | \t marks"]
LABELS = ["good", "bad", "bad", "good", "good", "bad"]
WANTED = [(text.strip(), label) for text, label in zip(TEXTS, LABELS, strict=True)]


def pairs(data):
    return [(source, data.classes[y]) for source, y in zip(data.inputs, data.y, strict=True)]


def delimited(mark, rows, **options):
    out = io.StringIO()
    csv.writer(out, delimiter=mark, **options).writerows(rows)
    return out.getvalue()


def table(tmp_path, content, name="data.csv"):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


ROWS = [("review", "verdict"), *zip(TEXTS, LABELS, strict=True)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_delimited_text_comes_back_as_it_was_written(tmp_path, mark, encoding):
    file = table(tmp_path, delimited(mark, ROWS).encode(encoding))
    data = read(file)
    assert pairs(data) == WANTED
    assert data.names == tuple(f"row {row}" for row in range(1, 7))
    assert (data.modality, data.task) == ("text", "classes")
    assert ("encoding" in data.because) == (encoding != "utf-8")
    assert ("separator" in data.because) == (mark != ",")


def test_latin_1_and_a_few_broken_bytes(tmp_path):
    content = delimited(",", ROWS)
    data = read(table(tmp_path, content.replace("fine", "fi\x81ne").encode("latin-1")))
    assert data.inputs[0] == "a fi\x81ne day"
    broken = (content + "ünöüäß ok,good\n").encode() + b"cut \xc3,bad\n"
    data = read(table(tmp_path, broken))
    assert data.inputs[-2:] == ("ünöüäß ok", "cut \ufffd")
    assert "1 broken" in data.because["encoding"]


@pytest.mark.parametrize("suffix", ["tsv", "csv.gz", "jsonl", "ndjson.gz", "json", "parquet", "pq"])
def test_other_forms_hold_the_same(tmp_path, suffix):
    file = tmp_path / f"data.{suffix}"
    records = [dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]
    if suffix in ("parquet", "pq"):
        polars.DataFrame(records).write_parquet(file)
    elif suffix == "json":
        file.write_text(json.dumps(records))
    elif "json" in suffix:
        content = "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode()
        file.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    else:
        content = delimited("\t" if suffix == "tsv" else ",", ROWS).encode()
        file.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    assert pairs(read(file)) == WANTED


def test_json_in_columns_and_json_lines_called_json(tmp_path):
    columns = {"review": TEXTS, "verdict": LABELS}
    assert pairs(read(table(tmp_path, json.dumps(columns), "a.json"))) == WANTED
    lines = "\n".join(json.dumps({"review": text, "verdict": label}) for text, label in ROWS[1:])
    assert pairs(read(table(tmp_path, lines, "b.json"))) == WANTED


def test_damaged_files_are_refused_in_a_sentence(tmp_path):
    packed = gzip.compress(delimited(",", ROWS).encode())
    refused = {
        "cut.csv.gz": (packed[:-20], "is gzipped and damaged"),
        "a.json": ('[{"a": 1},\n{"a"', "is no valid JSON"),
        "b.json": ('{"a": {"b": 1}}', "is JSON of another form"),
        "c.json": ('{"images": [], "annotations": []}', "as COCO files for detection"),
        "a.parquet": (b"PAR1 nonsense", "cannot be read as Parquet"),
        "empty.csv": ("", "holds no rows"),
        "header.csv": ("text,label\n", "holds no rows"),
        "none.jsonl": ("", "holds no rows"),
        "a.pdf": ("%PDF", "is of type '.pdf'"),
    }
    for name, (content, sentence) in refused.items():
        with pytest.raises(DataError, match=sentence):
            read(table(tmp_path, content, name))


def test_lines_that_are_torn_are_left_out_with_their_number(tmp_path):
    data = read(table(tmp_path, "text,label\nx x,a\ny y,b,c\n\nz z,b\ntext,label\nw w,b\n"))
    assert data.names == ("row 1", "row 3", "row 5")
    assert {problem.name: problem.why for problem in data.problems} == {
        "row 2": "it has 3 cells and the table has 2 columns",
        "row 4": "it repeats the header",
    }
    data = read(table(tmp_path, '{"t": "x x", "l": "a"}\n{bad\n7\n{"t": "y y", "l": "b"}\n', "a.jsonl"))
    assert data.names == ("row 1", "row 4")
    assert {problem.name for problem in data.problems} == {"row 2", "row 3"}


def test_quotes_that_are_text_do_not_swallow_lines():
    lines = ['"Hello\tpos', 'foo "bar\tneg', "x\tpos", 'say "hi" now\tneg']
    found = from_delimited("\n".join(["text\tlabel", *lines]), tabs=True)
    assert found.columns["text"] == [line.split("\t")[0] for line in lines]


def test_decimal_commas_do_not_split_columns(tmp_path):
    data = read(table(tmp_path, "title;value\n" + "\n".join(f"text {n};{n},{n % 7}5" for n in range(40))))
    assert data.task == "numbers"
    assert data.y[:, 0].tolist() == [float(f"{n}.{n % 7}5") for n in range(40)]


def test_a_table_without_a_header_is_seen(tmp_path):
    rows = [(f"text number {row}", "pos" if row % 2 else "neg") for row in range(8)]
    data = read(table(tmp_path, delimited(",", rows)))
    assert pairs(data) == rows
    assert "column_1, column_2" in data.because["header"]
    assert pairs(read(table(tmp_path, delimited(",", rows)), Options(text="column_1", label="column_2"))) == rows


def test_a_header_of_pandas_numbers_and_a_nameless_index(tmp_path):
    rows = [("", "words", "kind"), *((row, f"text number {row}", "ab"[row % 2]) for row in range(6))]
    data = read(table(tmp_path, delimited(",", rows)))
    assert pairs(data) == [(text, kind) for _, text, kind in rows[1:]]
    rows = [("0", "1"), *((f"text number {row}", "ab"[row % 2]) for row in range(6))]
    assert pairs(read(table(tmp_path, delimited(",", rows)))) == rows[1:]


def test_columns_that_are_named_override_what_is_detected(tmp_path):
    file = table(tmp_path, "text,title,label,stars\nx x,p p,a,1\ny y,q q,b,2\nz z,r r,a,1\n")
    assert pairs(read(file)) == [("x x", "a"), ("y y", "b"), ("z z", "a")]
    data = read(file, Options(text="TITLE", label="stars"))
    assert pairs(data) == [("p p", "1"), ("q q", "2"), ("r r", "1")]
    assert (data.because["text"], data.because["label"]) == ("you said --text title", "you said --label stars")
    data = read(file, Options(label="stars", task="numbers"))
    assert (data.task, data.y[:, 0].tolist(), data.classes) == ("numbers", [1, 2, 1], ("stars",))
    assert data.because["task"] == "you said --task numbers"


@pytest.mark.parametrize("option", ["text", "image", "label", "group", "time"])
def test_a_column_that_is_not_there_is_a_usage_error_that_lists_the_others(tmp_path, option):
    file = table(tmp_path, "text,label\nx x,a\ny y,b\n")
    with pytest.raises(UsageError, match=f"no column 'nope' for --{option}; the columns are text, label. Name one"):
        read(file, Options(**{option: "nope"}))


def test_doubt_about_columns_names_the_option(tmp_path):
    with pytest.raises(UsageError, match=r"which column holds the answers.*are words, p, q. Name one with --label"):
        read(table(tmp_path, "words,p,q\nx x,a,c\ny y,b,d\nz z,a,c\nw w,b,d\n"))
    with pytest.raises(UsageError, match=r"no column looks like texts.*are p, q. Name one with --text or --image"):
        read(table(tmp_path, "p,q\na,c\nb,d\n"))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [("image,xmin,ymin,xmax,ymax,label", "hold boxes or masks"), ("tokens,ner_tags", "holds a tag for each word")],
)
def test_other_work_is_refused(tmp_path, columns, sentence):
    cells = ",".join("one two" for _ in columns.split(","))
    with pytest.raises(DataError, match=f"{sentence}.*out of scope"):
        read(table(tmp_path, f"{columns}\n{cells}\n{cells}\n"))


def test_answers_that_cannot_be_learned_are_refused(tmp_path):
    with pytest.raises(DataError, match="every row of column 'label' says 'a': there is one class"):
        read(table(tmp_path, "text,label\nx x,a\ny y,a\n"))
    with pytest.raises(DataError, match="column 'label' holds no answer in any of 2 rows"):
        read(table(tmp_path, "text,label\nx x,\ny y,NaN\n"))
    with pytest.raises(DataError, match="of the rows that can be used every one is 'a'"):
        read(table(tmp_path, "text,label\nx x,a\n,b\nz z,a\n"))
    said = r"holds no numbers \(the first is 'a'\), and numbers are to be learned; name another column with --label"
    with pytest.raises(UsageError, match=said):
        read(table(tmp_path, "text,label\nx x,a\ny y,b\n"), Options(task="numbers"))


def test_marks_between_thousands_are_refused_and_never_read_as_decimals(tmp_path):
    rows = [f'text {k},"{k % 9 + 1},{k:03d}.50"' for k in range(30)] + ['a small one,"1,234"']
    text = "\n".join(["text,price", *rows])
    for options in (None, Options(task="numbers")):
        with pytest.raises(DataError, match=r"marks between the thousands, such as '1,000\.50'.* write them without"):
            read(table(tmp_path, text), options)


def test_a_mistake_in_a_column_of_numbers_is_named(tmp_path):
    cells = [*(f"{k}.5" for k in range(30)), "inf"]
    path = table(tmp_path, "\n".join(["text,price", *(f"text {k},{cell}" for k, cell in enumerate(cells))]))
    with pytest.raises(UsageError, match=r"numbers but for 1 of 31 cells, such as 'inf'; .* --task numbers"):
        read(path)
    assert len(read(path, Options(task="numbers"))) == 30


def test_codes_that_come_again_are_names_though_most_are_numbers(tmp_path):
    codes = [str(400 + k) for k in range(25)] + ["V45", "E11"]
    lines = [f"text {row},{code}" for row, code in enumerate(codes * 3)]
    assert read(table(tmp_path, "\n".join(["text,diagnosis", *lines]))).task == "classes"


def test_a_column_that_comes_twice_is_said(tmp_path):
    data = read(table(tmp_path, "text,label,label\nx x,a,1\ny y,b,2\nz z,a,3\n"))
    assert data.because["header"] == "the header says 'label' more than once; the later are called label_3"
    assert data.classes == ("a", "b")


def test_rows_without_an_answer_are_left_out(tmp_path):
    frame = polars.DataFrame({"text": ["x x", "y y", "z z", None], "label": [0.5, float("nan"), None, 2.5]})
    frame.write_parquet(tmp_path / "a.parquet")
    data = read(tmp_path / "a.parquet", Options(label="label"))
    assert data.names == ("row 1",)
    assert {p.name: p.why for p in data.problems} == {
        "row 2": "no answer in column 'label'",
        "row 3": "no answer in column 'label'",
        "row 4": "the text is empty",
    }
    data = read(table(tmp_path, "text,label\nx x,a\ny y,\nz z,NA\nw w,null\nv v,b\n"))
    assert data.names == ("row 1", "row 5")


def test_classes_that_lose_all_their_rows_are_no_classes(tmp_path):
    data = read(table(tmp_path, "text,label\nx x,a\n,b\nz z,c\ny y,a\n"))
    assert (data.classes, data.y.tolist()) == (("a", "c"), [0, 1, 0])


def test_known_classes_keep_their_order_and_others_are_problems(tmp_path):
    file = table(tmp_path, "text,label\nx x,b\ny y,z\nw w,b\n")
    data = read(file, Options(classes=("c", "b", "a")))
    assert (data.classes, data.y.tolist(), data.names) == (("c", "b", "a"), [1, 1], ("row 1", "row 3"))
    assert [(p.name, p.why) for p in data.problems] == [("row 2", "'z' is none of the labels")]
    file = table(tmp_path, "text,label\nx x,b|a\ny y,a|z\nw w,c\n")
    data = read(file, Options(classes=("c", "b", "a"), task="labels"))
    assert data.y.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert [(p.name, p.why) for p in data.problems] == [("row 2", "'z' is none of the labels")]


def test_several_columns_are_labels_or_numbers(tmp_path):
    file = table(tmp_path, "text,toxic,insult,high\nx x,1,0,3.5\ny y,0,0,1\nz z,1,1,2\n")
    data = read(file, Options(label="toxic, insult"))
    assert (data.task, data.classes, data.y.tolist()) == ("labels", ("toxic", "insult"), [[1, 0], [0, 0], [1, 1]])
    data = read(file, Options(label="toxic,insult", classes=("insult", "toxic")))
    assert (data.classes, data.y.tolist()) == (("insult", "toxic"), [[0, 1], [0, 0], [1, 1]])
    data = read(file, Options(label="toxic,high"))
    assert (data.task, data.y.tolist()) == ("numbers", [[1, 3.5], [0, 1], [1, 2]])
    for task, sentence in (("classes", "takes one column"), ("labels", "needs columns of 0 and 1")):
        with pytest.raises(UsageError, match=f"--task {task} {sentence}"):
            read(file, Options(label="toxic,high", task=task))
    found = read(table(tmp_path, "id,text,toxic,insult\n1,x x,1,0\n2,y y,0,0\n3,z z,1,1\n"))
    assert (found.task, found.classes) == ("labels", ("toxic", "insult"))


def test_pictures_are_found_by_path_by_name_and_without_ending(tmp_path):
    for place in ("a/1.png", "b/1.png", "b/2.png"):
        file = tmp_path / "images" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(file)
    folder = tmp_path / "images"
    data = read(table(tmp_path, "file,label\nimages/a/1.png,x\n2.png,y\nb\\1.png,x\n1.png,y\nno.png,x\n"))
    assert data.inputs == (folder / "a/1.png", folder / "b/2.png", folder / "b/1.png")
    assert data.names == ("images/a/1.png", "images/b/2.png", "images/b/1.png")
    assert (data.modality, data.y.tolist()) == ("image", [0, 1, 0])
    assert [p.name for p in data.problems] == ["row 4", "row 5"]
    data = read(table(tmp_path, "id,label\na/1,x\n2,y\nb/1,x\n"))
    assert data.inputs == (folder / "a/1.png", folder / "b/2.png", folder / "b/1.png")
    with pytest.raises(DataError, match=r"the first problem is row 1: there is no picture 'x.jpg'"):
        read(table(tmp_path, "file,label\nx.jpg,a\ny.jpg,b\n"))


def test_addresses_of_pictures_that_are_not_there_give_way_to_texts(tmp_path):
    data = read(table(tmp_path, "url,tweet,label\nhttp://x/1.jpg,so nice,a\nhttp://x/2.jpg,so bad,b\n"))
    assert data.inputs == ("so nice", "so bad")
    with pytest.raises(DataError, match="there is no picture 'so nice'"):
        read(tmp_path / "data.csv", Options(image="tweet"))


def test_a_named_column_of_long_texts_is_no_picture_and_no_crash(tmp_path):
    with pytest.raises(DataError, match="there is no picture"):
        read(table(tmp_path, f"text,label\n{'word. ' * 200},a\n{'word. ' * 300},b\n"), Options(image="text"))


def test_pictures_inside_a_parquet_file_are_refused(tmp_path):
    cells = [{"bytes": b"\x89PNG\r\n\x1a\n...", "path": "a.png"}, {"bytes": b"\x89PNG\r\n\x1a\n..", "path": "b.png"}]
    polars.DataFrame({"image": cells, "label": [0, 1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'image' holds the bytes of pictures inside the table"):
        read(tmp_path / "a.parquet")


def test_parts_come_from_a_column_or_from_the_names_of_tables(tmp_path):
    data = read(table(tmp_path, "text,label,split\nx x,a,train\ny y,b,Validation\nz z,a,test\n"))
    assert data.part.tolist() == ["train", "val", "test"]
    folder = tmp_path / "parts"
    folder.mkdir()
    table(folder, "text,label\nx x,a\ny y,b\n", "train.csv")
    table(folder, "label,text\nb,z z\n", "test.csv")
    data = read(folder)
    assert pairs(data) == [("z z", "b"), ("x x", "a"), ("y y", "b")]
    assert data.part.tolist() == ["test", "train", "train"]
    assert data.names[0] == "test.csv row 1"
    table(folder, "text\nz z\n", "test.csv")
    with pytest.raises(DataError, match="give all parts the same columns"):
        read(folder)
    table(folder, "text,label\nz z,a\n", "more.csv")
    table(folder, "text,label\nz z,a\n", "train.csv").rename(folder / "extra.csv")
    (folder / "test.csv").unlink()
    with pytest.raises(DataError, match=r"holds 2 tables \(extra.csv, more.csv\); name one"):
        read(folder)


def test_groups_and_times_come_from_their_columns(tmp_path):
    file = table(tmp_path, "text,label,who,day\nx x,a,1,2024-01-02\ny y,b,1.0,2024-01-01T12:00\nz z,a,,2024-01-03\n")
    data = read(file, Options(group="who", time="day"))
    assert data.groups.tolist() == ["1", "1"]
    assert data.times.tolist() == [1704153600.0, 1704110400.0]
    assert [(p.name, p.why) for p in data.problems] == [("row 3", "no group in column 'who'")]
    with pytest.raises(DataError, match=r"column 'text' holds no times in 3 of 3 rows \(the first is 'x x'\)"):
        read(file, Options(label="label", time="text", text="who"))


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("12.5", 12.5),
        (7, 7.0),
        ("1970-01-02", 86400.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("02.01.1970", 86400.0),
        ("01/02/1970", 86400.0),
        ("02.01.1970 01:00", 90000.0),
        ("Thu Jan 01 00:00:10 +0000 1970", 10.0),
        ("soon", None),
        (None, None),
        (float("nan"), None),
        (True, None),
    ],
)
def test_times_are_seconds(cell, seconds):
    assert when(cell) == seconds


def test_dates_with_slashes_are_read_alike_in_one_column(tmp_path):
    rows = [("text", "label", "day"), *((f"x {day}", "ab"[day % 2], f"{day:02d}/03/1970") for day in range(1, 29))]
    data = read(table(tmp_path, delimited(",", rows)), Options(time="day"))
    assert data.times.tolist() == [(31 + 28 + day - 1) * 86400.0 for day in range(1, 29)]


def test_halves_of_characters_are_mended_and_have_keys(tmp_path):
    lines = [
        json.dumps({"text": f"cut {half} here", "label": kind}) for half, kind in (("\ud83d", "a"), ("\U0001f600", "b"))
    ]
    data = read(table(tmp_path, "\n".join(lines), "a.jsonl"))
    assert data.inputs == ("cut \ufffd here", "cut \U0001f600 here")
    assert len(set(data.keys)) == 2
