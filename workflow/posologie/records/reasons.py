"""The reasons why a record is rejected or a generated text is not accepted: the words by which reports count them.

A reason is written where it is raised (`Rejected`, `Problem`, `Item.problem`) and described here; `docs/reasons.md`
shows the descriptions. One that is not here is refused, so that no report has a word that nobody explains.
"""

PUBLISHED = {
    "a template does not fit": "a template of an lm-evaluation-harness task (`doc_to_text`, …) fails on the record",
    "ambiguous answer": "the answer matches two options, one by label and one by text or number; set `answer_form`",
    "ambiguous field": "a selector of a nested field fits several members",
    "answer contradicts its label": "the answer's published text is not that of the option with its label",
    "answers disagree": "`answer` and `answer_text` name different options",
    "both answers are the same": "the preferred and the rejected answer of a pair are equal",
    "damaged characters": "a text has replacement characters or bytes that are not UTF-8: what stood there is lost",
    "duplicate options with different keys": "two options have the same text, and only one of them is marked as right",
    "empty answer": "an open question, or an answer of a pair, has no text",
    "empty question": "the question is blank",
    "empty segment": "one side of a line of parallel text is blank",
    "empty text": "a document is blank",
    "fewer than two options": "a choice question has fewer than two options, or none were found in its text",
    "field is not text": "a field holds something other than text or a number where text is needed",
    "gold labels repeated or out of order": "the indices of the right options are not ascending",
    "gold names an empty option": "the right option is blank",
    "gold outside the options": "the key is no option's label or number; keys from 1 to 4 need `answer_form: index1`",
    "labels repeated": "two options have the same label",
    "missing field": "a field that the form needs is not in the record; `detail` names it",
    "more than 26 options": "a question has more options than there are letters",
    "needs an image": "the question cannot be answered from its text alone",
    "no gold label": "no option of a choice question is marked as right",
    "no letters in the question": "the question has no word",
    "no pair of answers, the chosen one first": "a preference item does not have exactly two answers",
    "not a record": "the line or row cannot be parsed",
    "not a record of this form": "a field has another type or shape than in this published form",
    "not for readers of text": "a field of `must_be_empty` holds something, such as an image",
    "not one question and one answer": "a chat has other turns than one question and one answer",
    "options on an open question": "an open question has options",
    "several gold labels on a single-answer question": "the type says one right answer, the key names several",
    "several right answers": "an lm-evaluation-harness task has several targets",
    "the answer is no choice": "the target of an lm-evaluation-harness task is none of its choices",
    "type contradicts the key": "the published type and the number of right answers differ",
    "unknown split": "the record's split is none of those that the form, or `splits`, has",
    "unknown type": "the record's type of question is not one that the form, or `tasks`, has",
    "unlabelled": "the record has no answer, as in a blind test split",
    "unreadable answer": "the answer is neither labels, texts nor numbers of options in the form that was declared",
    "unreadable options": "the options are no list, have labels out of order or do not match their labels",
    "unreadable question": "the question does not fit `question_pattern`",
}
"""Reasons why a published record is rejected, each with what it means."""

GENERATED = {
    "another language": "the text is not in the language that was asked for",
    "another question": "the translation does not seem to be of its original",
    "answer not among the options": "the right answer that the model names is none of its options",
    "answer not supported by the document": "too few words of an open answer are in the document",
    "empty answer": "an open question has no answer",
    "empty question": "the question is blank",
    "evidence not in the document": "the quoted passage is not in the document, or is too short",
    "failed": "the request failed; it is sent again by the next run",
    "gold differs": "original and translation have different right options (audit of parallel files)",
    "length": "the translation is much shorter or longer than its original",
    "malformed reply": "the reply does not have the form that was asked for",
    "no letters in the question": "the question has no word",
    "number not in the document": "a quantity of the right answer is not in the document",
    "number of options": "there are fewer or more options than asked for, or than the original has",
    "number of right answers": "no option, all options, or several where one was asked for are right",
    "numbers and units": "a quantity differs between original and translation",
    "option labels": "the labels of the translated options are not those of the original",
    "option on the other options": "an option refers to others (“all of the above”), so the options cannot be permuted",
    "options became equal": "options that differ in the original are the same in the translation",
    "options changed places": "an option is the translation of another one, so the gold would be wrong",
    "options repeated or empty": "two options are the same, or one has no word",
    "question gives the answer away": "the question contains the right answer",
    "refers to a text that is not shown": "the question refers to a passage that the reader does not have",
    "repeats another question": "the same question was made from this document before",
    "reply cut at the token limit": "the reply ended before it was complete; raise `max_new_tokens`",
    "says the opposite": "a negation or comparison is reversed",
    "speaks of itself": "the text mentions the model that wrote it, or its task",
    "text added": "the translation has a text where the original has none",
    "text missing": "the translation has no text where the original has one",
    "too few questions": "the reply holds fewer questions than asked for",
    "untranslated": "an option is the same text as in the original language",
    "withheld by the endpoint": "the endpoint filtered the reply",
}
"""Reasons why a generated question or a translation is not accepted, each with what it means."""

_KNOWN = PUBLISHED.keys() | GENERATED.keys()


def check_reason(reason: str) -> None:
    """Check that a reason is one that this page describes.

    Raises:
        RuntimeError: if it is not; no reader turns this error into a rejected record.
    """
    if reason not in _KNOWN:
        raise RuntimeError(f"reason '{reason}': not described in posologie.records.reasons; add it there")
