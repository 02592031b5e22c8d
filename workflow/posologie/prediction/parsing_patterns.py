"""What texts say around labels: patterns put together from the words of all languages (`resources/languages/`)."""

import re
from functools import cache

from posologie.language.answer_words import one_of, ordinals


@cache
def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return a compiled pattern and keep it: `re` keeps few, and these are long."""
    return re.compile(pattern, flags)


# A capital that begins a sentence can be a word: "A noter", "A patient", "I think", "Y a-t-il", "E a resposta".
BEHIND_LABEL = (
    rf"(?:{one_of('and', 'or', 'copulas', 'to', 'verdict_right', 'verdict_wrong')}|"
    r"(?:ainsi|as well|car|parce|puisque|because|since|as|pour|for|qui|which|seul(?:e|ement)?|only|uniquement|"
    r"mais|but|en|dans|in|with|avec|donc|so|trifft|treffen|weil|denn|porque|pois|perché)\b)"
)
WORD = rf"(?<![\w'])[AEIOY](?=[ ](?!(?i:{BEHIND_LABEL}))[a-zà-ÿ])"
"""A capital that is a word; it is written small before labels are looked for."""
LETTER = r"(?<![\w'])[A-Z](?!\w|'|-[a-zà-ÿ]|[./][A-Za-zà-ÿ]{2})"
LABEL = (
    rf"(?:\([ ]*[A-Z][ ]*\)|\[[ ]*[A-Z][ ]*\]|{LETTER}(?:[ ]?\)|\.(?=[ ]*(?:,|;|et\b|and\b|[A-Z](?:[.,;)]|[ ]*$)|$)))?)"
)
PRONOUN = r"(?:il|elle|ils|elles|cela|ceci|cette|ces|les|une|this|that|the|these|they)\b"
NOUN = one_of("nouns")
BEFORE = rf"(?:(?>(?i:l'|(?:la|le|les|the|both|à la fois|el|los|las|il|os|as|die|der|das|{NOUN})[ ]+))){{0,4}}"
AND = one_of("and")
OR = one_of("or")
TO = one_of("to")
JOIN = (
    rf"(?:(?<=[.])|\s*(?:,\s*{AND}|,|、|;|/|\||&|\+|{AND})\s*|[ ]*\n[ ]*(?=\(?[A-Z]\)?[ .,]*(?:\n|$))|[ ]+|[ ]?-[ ]?)"
)
FILLING = rf"(?:[:=>–—→،-]+|{one_of('fillers', 'copulas', 'right', 'final', 'so')}|{NOUN})"
FILLINGS = rf"(?:\s*(?>(?i:{FILLING}))){{0,8}}"
"""Words between an announcement and its labels; each is matched in one way, because models repeat themselves."""
COPULA = one_of("copulas")
SO = one_of("so")
CUE = rf"(?:{NOUN}|{one_of('cues', 'so', 'final')}|{one_of('right')}(?=\s*(?:[:=]|{COPULA})))"
RIGHT = (
    r"(?:(?>la|les|l'|le|the|une|toutes?|bien|both|also|aussi|all|clairement|clearly|most|plus|seule?s?|only|el|los|las|"
    r"il|os|as|die|der|das|quell[ao]|más|mais|più|am|的|も|最も|都|均|皆|ともに|i|o|a)\s*){0,4}"
    rf"{one_of('right')}"
)
NEGATION = one_of("negation")
FINAL = one_of("final")
HEDGE = one_of("hedges")
CORRECTION = one_of("corrections")
INSTEAD = one_of("instead")
EITHER = one_of("either")
NEITHER = one_of("neither")
TRUE = one_of("verdict_right")
FALSE = one_of("verdict_wrong")
ORDINALS = ordinals()

QUALIFIER = (
    r"(?i:(?<!\w)(?:seule?(?:ment)?|uniquement|exclusivement|only|just|probablement|probably|"
    rf"maybe|perhaps|peut-être|answer|réponse|nur|solo|sólo|soltanto|apenas)(?!\w) ?:?|{one_of('nouns')}[ ]?[:：])"
)
REFUSAL = re.compile(one_of("refusals"), re.IGNORECASE)
ALL = re.compile(
    r"\W*(?:(?:la |les |the )?(?:bonnes? |correct )?(?:réponses?|answers?))?\s*(?:est|sont|is|are)?"
    r"\s*:?\s*(?:toutes|tous|all)\b(?: (?:les|des|of|the|ces|these))*"
    r"(?: (?:réponses|propositions|options|choix|affirmations|items|above|answers|choices|statements|them))*"
    r"(?: (?:ci-dessus|précédentes?|proposées))*"
    r"(?: (?:sont|are) (?:toutes )?(?:exactes|correctes|justes|vraies|bonnes|correct|true|right))?(?P<rest>.*)",
    re.DOTALL,
)
EXCEPT = re.compile(
    r"\s*,?\s*(?:sauf|excepté|hormis|à l'exception de|except(?: for)?|but)\b\s*:?\s*(?P<labels>.+)", re.DOTALL
)
