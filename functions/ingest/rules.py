"""The catalogue of everything ingest can find wrong: id, when, why it matters, what to do."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.contract import Metric


@dataclass(frozen=True)
class Rule:
    """One kind of violation. `id` is stable: people filter by it."""

    id: str
    condition: str
    why: str
    remedy: str


# About the file as a whole: any of these rejects it.
UNREADABLE = Rule(
    "unreadable",
    "the file cannot be read as what it is",
    "nothing in it can be judged",
    "export it again as UTF-8 CSV, JSON Lines or Parquet, plain or packed with gzip or zstd",
)
TOO_LARGE = Rule(
    "too_large",
    "the file is larger than one function can judge",
    "nothing in it can be judged",
    "upload it in several files; each becomes a dataset and trainings join them",
)
CHECKSUM = Rule(
    "checksum",
    "a file of the set is not the one that the manifest names",
    "it was changed or cut off on its way",
    "upload the file again, then the manifest",
)
SAME_FILE = Rule(
    "same_file",
    "two files of the set are the same bytes",
    "their rows would count twice",
    "leave one of them out of the manifest",
)
EMPTY = Rule("empty", "the file has no rows", "there is nothing to learn from", "check the export that wrote it")
MISSING_COLUMN = Rule(
    "missing_column",
    "a column of the contract is not in the file",
    "every row would lack it",
    "add the column or change the contract",
)
UNKNOWN_COLUMN = Rule(
    "unknown_column",
    "a column of the file is not in the contract",
    "nobody has said what it holds",
    "remove the column or add it to the contract",
)
DUPLICATED_COLUMN = Rule(
    "duplicated_column",
    "two columns of the file have the same name",
    "it is not clear which one is meant",
    "name each column once",
)
ROW_COUNT = Rule(
    "row_count",
    "the file has fewer or more rows than the contract allows",
    "a truncated or doubled export looks like this",
    "check the export, or change rowCount in the contract",
)
BAD_ROW_SHARE = Rule(
    "bad_row_share",
    "more rows are bad than the contract allows (maxBadRowShare), or all of them",
    "so many errors point at the export, not at single rows",
    "mend the whole file and upload it again; the quarantine has the bad rows with their reasons",
)
TOLERANCE = Rule(
    "tolerance",
    "more or fewer rows violate a quality rule than it tolerates",
    "the share was agreed upon; beyond it the export has changed",
    "look at the rows that are listed with the rule, and mend the export",
)
FRESHNESS = Rule(
    "freshness",
    "the newest date or time is older or newer than a quality rule allows",
    "the export repeats old data, or its clock is wrong",
    "export again, or change the rule",
)
ROW_COUNT_CHANGE = Rule(
    "row_count_change",
    "the number of rows differs from the last datasets by more than a quality rule allows",
    "a part of the data is missing or comes twice",
    "check the export; if the change is real, change the rule",
)
NEW_CATEGORIES = Rule(
    "new_categories",
    "more values are new than a quality rule allows",
    "a coding has changed, or columns are mixed up",
    "check the export; if the values are real, change the rule",
)
DRIFTED_COLUMNS = Rule(
    "drifted_columns",
    "more columns have drifted from the training data than a quality rule allows",
    "the model that serves has learned from other data, or the export holds another population",
    "check the export; if the change is real, change the rule and train anew",
)
SQL = Rule(
    "sql",
    "a query of the contract gives a number that it must not give",
    "what the query checks does not hold for the rows",
    "mend the data, or change the query",
)

# About one row's form.
FIELD_COUNT = Rule(
    "field_count",
    "the row has more or fewer fields than the header",
    "its values cannot be assigned to columns",
    "quote fields that hold the delimiter or a line break",
)
OPEN_QUOTE = Rule(
    "open_quote",
    "a field begins with a quote that does not end it",
    "it is not clear where the field ends",
    "close the quote at the field's end; write a quote inside a quoted field twice",
)
ENCODING = Rule(
    "encoding",
    "the row is not UTF-8",
    "its text cannot be read",
    "export the file as UTF-8, or declare its encoding in the contract",
)
JSON = Rule(
    "json",
    "the line is not one flat JSON object",
    "its values cannot be assigned to columns",
    "write one object a line, with plain values and every name once",
)

# About one value.
TYPE = Rule("type", "the value is not of the column's type", "the model would read nonsense", "correct the value")
REQUIRED = Rule("required", "a required value is missing", "the model was promised it", "fill the value in")
MINIMUM = Rule("minimum", "the value is below the column's bound", "it cannot be true", "correct the value")
MAXIMUM = Rule("maximum", "the value is above the column's bound", "it cannot be true", "correct the value")
LENGTH = Rule("length", "the text is shorter or longer than allowed", "it is cut off or not this field", "correct it")
PATTERN = Rule("pattern", "the text does not have the column's form", "it is another kind of text", "correct it")
FORMAT = Rule(
    "format", "the text is not of the column's format", "it is cut off or another kind of text", "correct the value"
)
MULTIPLE_OF = Rule(
    "multiple_of", "the number is no multiple of the column's step", "it is in another unit or mistyped", "correct it"
)
TIMEZONE = Rule(
    "timezone",
    "the time has a zone where there must be none, or lacks it where there must be one",
    "it may be hours off",
    "write every time with its zone, or every time in UTC without one, as the contract says",
)
COMPARE = Rule(
    "compare",
    "two values of the row are not in the contract's relation",
    "one of them is wrong, or they are swapped",
    "correct the row",
)
INVALID = Rule(
    "invalid",
    "the value is not what a quality rule of the contract allows",
    "a typo, a new category or another kind of text",
    "correct the value, or change the rule",
)
ALLOWED = Rule(
    "allowed",
    "the value is not one of the column's list",
    "a typo or a new category",
    "correct the value, or add it to the contract",
)
UNIQUE = Rule("unique", "the value came before in this column", "a row may be doubled", "remove the double")
PRIMARY_KEY = Rule("primary_key", "the key came before in this file", "a row may be doubled", "remove the double")
DUPLICATE = Rule(
    "duplicate", "the columns' values came together before in this file", "a row may be doubled", "remove the double"
)

# What a quality rule finds in rows it judges.
BY_METRIC = {
    Metric.NULL_VALUES: REQUIRED,
    Metric.MISSING_VALUES: REQUIRED,
    Metric.INVALID_VALUES: INVALID,
    Metric.DUPLICATE_VALUES: DUPLICATE,
    Metric.COMPARE: COMPARE,
}
# What a quality rule finds in the file as a whole.
OF_THE_FILE = {
    **dict.fromkeys(BY_METRIC, TOLERANCE),
    Metric.ROW_COUNT: ROW_COUNT,
    Metric.FRESHNESS: FRESHNESS,
    Metric.ROW_COUNT_CHANGE: ROW_COUNT_CHANGE,
    Metric.NEW_CATEGORIES: NEW_CATEGORIES,
    Metric.DRIFTED_COLUMNS: DRIFTED_COLUMNS,
    Metric.SQL: SQL,
}

ABOUT_THE_FILE = (
    *(UNREADABLE, TOO_LARGE, CHECKSUM, SAME_FILE, EMPTY, MISSING_COLUMN, UNKNOWN_COLUMN, DUPLICATED_COLUMN),
    *(ROW_COUNT, BAD_ROW_SHARE),
    *(TOLERANCE, FRESHNESS, ROW_COUNT_CHANGE, NEW_CATEGORIES, DRIFTED_COLUMNS, SQL),
)
ABOUT_A_ROW = (FIELD_COUNT, OPEN_QUOTE, ENCODING, JSON)
ABOUT_A_VALUE = (
    *(TYPE, REQUIRED, MINIMUM, MAXIMUM, MULTIPLE_OF, LENGTH, PATTERN, FORMAT, TIMEZONE, ALLOWED, UNIQUE),
    *(PRIMARY_KEY, INVALID, DUPLICATE, COMPARE),
)
CATALOGUE = {rule.id: rule for rule in (*ABOUT_THE_FILE, *ABOUT_A_ROW, *ABOUT_A_VALUE)}
