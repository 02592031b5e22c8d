"""What texts say around labels, in French and English: the patterns of `posologie.prediction.parsing`."""

import re

# A capital that begins a sentence can be a word: "A noter", "A patient", "I think", "Y a-t-il", "O stands for".
WORD_OR_LABEL = "AIOY"
BEHIND_LABEL = (
    r"(?:et|and|ou|or|ainsi|as well|car|parce|puisque|because|since|as|est|sont|is|are|pour|for|qui|which|"
    r"seul(?:e|ement)?|only|uniquement|à\s+[A-Z]\b|to\s+[A-Z]\b|mais|but|en|dans|in|with|avec|donc|so)\b"
)
LETTER = (
    rf"(?<![\w'])[A-Z](?!\w|'|-[a-zà-ÿ]|[./][A-Za-zà-ÿ]{{2}})(?!(?<=[{WORD_OR_LABEL}])[ ](?!{BEHIND_LABEL})[a-zà-ÿ])"
)
LABEL = rf"(?:\([ ]*[A-Z][ ]*\)|\[[ ]*[A-Z][ ]*\]|{LETTER}(?:[ ]?\)|\.(?=[ ]*(?:,|;|et\b|and\b|[A-Z]\b|$)))?)"
PRONOUN = r"(?:il|elle|ils|elles|cela|ceci|cette|ces|les|une|this|that|the|these|they)\b"
NOUN = (
    r"(?:réponses?|reponses?|options?|choix|propositions?|items?|lettres?|solutions?|affirmations?|answers?|choices?|"
    r"letters?|statements?)"
)
BEFORE = rf"(?i:(?:l'|(?:la|le|les|the|both|à la fois|{NOUN})[ ]+)*)"
AND = r"\b(?:et|and|ainsi que|as well as)\b"
JOIN = rf"(?:(?<=[.])|\s*(?:,\s*{AND}|,|;|/|\||&|\+|\n|{AND})\s*|[ ]+|[ ]?-[ ]?)"

FILLING = (
    r"(?:[:=>–—→-]+|est|sont|serait|seraient|sera|seront|is|are|was|were|be|would|should|must|doit|doivent|être|la|le|"
    r"les|l'|the|de|du|à|of|to|cette|question|this|correcte?s?|exactes?|justes?|vraie?s?|bonnes?|bons?|appropriée?s?|finale?s?|final|"
    r"attendue?s?|adaptée?s?|choisie?s?|correct|right|best|true|appropriate|most|likely|plus|probables?|suivantes?|suivants?|"
    r"following|donc|clairement|probablement|certainement|clearly|probably|therefore|my|ma|mes|ici|here|ones?|bien|"
    r"single|seule?s?|unique|celle|numéro|number|no|uniquement|only|seulement|both|ou)"
)
CUE = (
    rf"(?:{NOUN}|je (?:choisis|choisirais|sélectionne|retiens|réponds|répondrais|dirais|propose|coche|pense que|"
    r"penche pour)|j'opte pour|j'opterais pour|il s'agit|c'est|ce sont|"
    r"i (?:choose|chose|pick|select|think|believe|would (?:say|choose|pick|select)|go with)|"
    r"it is|it's|they are|conclusion|donc|therefore|thus)"
)
RIGHT = (
    r"(?:(?:la|les|l'|le|the|une|toutes?|bien|both|also|aussi|all|clairement|clearly|most|plus|seule?s?|only)\s*)*"
    r"(?:bonnes?|correcte?s?|exactes?|justes?|vraie?s?|right|correct|true|best|appropriée?s?|appropriate|réponses?|"
    r"answers?|options?|adaptée?s?)\b"
)
NEGATION = (
    r"\b(?:ne|n'|pas|not|isn't|aren't|jamais|never|sauf|excepté|hormis|except|but not|ni|neither|nor|fausses?|faux|"
    r"incorrecte?s?|false|wrong)"
)

QUALIFIER = (
    r"(?i:(?<!\w)(?:seule?(?:ment)?|uniquement|exclusivement|only|just|probablement|probably|answer|réponse)(?!\w) ?:?)"
)

REFUSAL = re.compile(
    r"\b(?:je (?:suis (?:désolée?|navrée?)|regrette|ne (?:peux|sais|suis|dispose|saurais|connais))|désolée?|"
    r"en tant qu'(?:ia|assistant|intelligence|modèle)|en tant que modèle|impossible de répondre|aucune idée|"
    r"i(?:'m| am) (?:sorry|unable|not able|an ai|just an ai)|"
    r"i (?:cannot|can't|can not|do not know|don't know|am not sure)|sorry|as an ai|as a language model|"
    r"(?:unable|impossible) to (?:answer|determine)|no idea)\b"
)
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
TRUE = r"(?:vraie?s?|correcte?s?|exactes?|justes?|true|right|oui|yes|v|✓|✔|✅)"
FALSE = r"(?:fausses?|faux|incorrecte?s?|inexactes?|false|wrong|non|no|f|✗|✘|❌)"
