"""The built-in inline templates: which function stands for a name on which wiki.

On the wikis most of them wrap Lua modules, so a dump's own definitions give nothing; here each one
gives what a reader sees. References, navigation, boxes and maintenance notes give nothing, and are
known so that they are not even looked into.
"""

from __future__ import annotations

import functools
import re

from headrace.corpus.wikitext.calls import Call
from headrace.corpus.wikitext.country_names import country_name
from headrace.corpus.wikitext.inline_dates import DATE_TEMPLATES
from headrace.corpus.wikitext.inline_languages import LANGUAGE_TEMPLATES, find_language_template
from headrace.corpus.wikitext.inline_markup import MARKUP_TEMPLATES, Inline, argument, constant
from headrace.corpus.wikitext.inline_numbers import NUMBER_TEMPLATES
from headrace.corpus.wikitext.local_templates import find_local_template
from headrace.corpus.wikitext.number_formats import format_number


def _flag(call: Call) -> str:
    """`{{flag|Turkey}}`, `{{flag|TUR}}`: the country."""
    name = call.text("name")
    code = call.text("1")
    return (
        name or (country_name(code, call.lang) if code.isupper() and len(code) <= 3 else "") or code
    )


def _country(call: Call) -> str:
    """`{{USA}}`: the country."""
    return call.text("name") or country_name(call.name, call.lang)


def _ship(call: Call) -> str:
    """`{{HMS|Ajax|22}}`: the prefix and the ship's name."""
    name = call.text("1")
    return f"{call.name.upper()} {name}" if name else ""


def _patent(call: Call) -> str:
    """`{{US patent|1781541}}`."""
    number = call.text("1")
    return f"U.S. Patent {format_number(number, 'en') if number.isdecimal() else number}"


def _bible(call: Call) -> str:
    """`{{bibleverse|Mark|3:25}}`."""
    items = call.numbered()
    return " ".join(items[:3] if items[:1] in (["1"], ["2"], ["3"]) else items[:2]).strip()


_RAIL_GAUGES = {
    "1435": "4 ft 8 1⁄2 in", "1067": "3 ft 6 in", "1000": "3 ft 3 3⁄8 in",
    "1520": "4 ft 11 27⁄32 in",
    "1524": "5 ft", "1600": "5 ft 3 in", "1668": "5 ft 5 21⁄32 in", "1676": "5 ft 6 in",
    "762": "2 ft 6 in",
    "610": "2 ft", "600": "1 ft 11 5⁄8 in", "750": "2 ft 5 1⁄2 in", "914": "3 ft",
    "891": "2 ft 11 3⁄32 in",
    "950": "3 ft 1 3⁄8 in", "760": "2 ft 5 15⁄16 in", "381": "15 in", "1372": "4 ft 6 in",
    "597": "1 ft 11 1⁄2 in",
}  # fmt: skip


def _rail_gauge(call: Call) -> str:
    """`{{RailGauge|1435mm}}`: in millimetres, with feet and inches where they are listed."""
    text = call.text("1").replace(" ", "")
    digits = text.removesuffix("mm")
    if not digits.isdecimal():
        return text
    shown = f"{format_number(digits, 'en')} mm"
    return f"{shown} ({_RAIL_GAUGES[digits]})" if digits in _RAIL_GAUGES else shown


_OTHER: dict[str, Inline] = {
    **dict.fromkeys(
        ("flag", "flagcountry", "flagu", "flagcountry2", "flagg", "flaglist", "flag+link",
            "flagdeco-name",
         "country", "fb", "nft", "cr", "ru", "bk", "flag2", "флаг страны", "флаг2", "drapeau2",
         "pays",
         "bandera2", "bandiera2", "flagland", "vlag naam"), _flag),
    **dict.fromkeys(("official website text", "url", "uri", "URL2"), argument("2", "1")),
    **dict.fromkeys(
        ("hms", "uss", "ss", "rms", "mv", "hmas", "hmcs", "hmnzs", "usns", "ms", "sms", "ins",
            "uscgc",
         "rfa", "usat", "rv"), _ship),
    **dict.fromkeys(("us patent", "uspatent"), _patent),
    **dict.fromkeys(("bibleverse", "bibleref", "bibleref2", "bibleverse-lb"), _bible),
    **dict.fromkeys(("railgauge", "rail gauge", "track gauge", "trackgauge"), _rail_gauge),
    **dict.fromkeys(("nq", "pdflink", "script/arabic", "script/hebrew", "script/cyrillic",
                     "script/armenian", "script/greek"), argument("1")),
    **dict.fromkeys(("rtl-lang", "rtl-para"), argument("2")),
    **dict.fromkeys(("sic", "typo sic"), argument("1")),
    **dict.fromkeys(("audio", "listen-inline", "audio-nohelp", "audio-ipa text"), argument("2")),
    **dict.fromkeys(("based on",), argument("1")),
    **dict.fromkeys(("template other", "as written text"), constant("")),
}  # fmt: skip

COMMON_TEMPLATES: dict[str, Inline] = {
    **MARKUP_TEMPLATES,
    **NUMBER_TEMPLATES,
    **DATE_TEMPLATES,
    **LANGUAGE_TEMPLATES,
    **_OTHER,
}
"""Built-in templates of every wiki by lower-case name."""


@functools.lru_cache(maxsize=20_000)
def find_inline_template(key: str, lang: str) -> Inline | None:
    """The function of a built-in template.

    Args:
        key: lower case, single spaces, without namespace.
        lang: language of the wiki.
    """
    return (
        find_local_template(key, lang)
        or COMMON_TEMPLATES.get(key)
        or (find_language_template(key) if "-" in key or key.endswith(" icon") else None)
        or (_country if key.isascii() and country_name(key, lang) else None)
    )


_DROPPED_NAMES = frozenset(
    """
    r|rp|sfn|sfnp|sfnm|sfnmp|harv|harvnb|harvp|harvtxt|harvcol|harvs|harvid|sfnref|refn|refnest|efn|efn2|efn-ua|efn-la|
    note|note label|ref|ref label|reflist|notelist|notelist2|references|refbegin|refend|citation|
    cite|citeweb|cite web|
    main|main2|main article|see|see also|seealso|also|further|further information|details|about|
    about2|for|for2|for-multi|
    distinguish|confused|redirect|redirect2|other uses|otheruses|other people|other places|
    hatnote|selfref|self-reference|
    use dmy dates|use mdy dates|use british english|use american english|engvarb|
    short description|good article|
    featured article|pp|pp-move|pp-semi|pp-move-indef|pp-semi-indef|pp-protected|
    authority control|normdaten|portal|
    portal bar|portal-inline|commons|commons category|commonscat|commons cat|commons-inline|
    commons category-inline|
    wiktionary|wikiquote|wikisource|wikibooks|wikiversity|wikinews|wikivoyage|wikispecies|
    wikidata|sister project links|
    sister project|sisterlinks|subject bar|library resources box|spoken wikipedia|listen|coord|
    coordinates|coor|
    citation needed|cn|fact|clarify|when|when?|who|who?|by whom|by whom?|which|which?|where|
    where?|why|how|vague|
    dubious|disputed inline|dead link|deadlink|failed verification|verify source|
    better source needed|better source|
    page needed|full citation needed|according to whom|according to whom?|
    original research inline|or|weasel-inline|
    pov-inline|specify|update inline|update after|needs update|unreliable source|
    unreliable source?|primary source inline|
    non-primary source needed|medical citation needed|attribution needed|citation needed span end|
    clarification needed|
    clarify inline|huh|elucidate|undue weight inline|lead too short|refimprove|unreferenced|
    more citations needed|
    more footnotes|no footnotes|original research|pov|cleanup|expand section|expand|stub|update|
    multiple issues|advert|
    tone|wikify|globalize|merge|merge from|merge to|split|orphan|notability|copy edit|blp sources|
    unreferenced section|
    refimprove section|section stub|empty section|technical|lead rewrite|very long|peacock|in use|
    under construction|
    clear|clr|-|clearleft|clear left|clearright|toc|toc right|toc left|toclimit|toc limit|
    compact toc|horizontal toc|
    anchor|anchors|ancre|ancla|anker|disambiguation|disambig|dab|hndis|geodis|surname|given name|
    set index article|
    italic title|italictitle|displaytitle|lowercase title|lowercase|correct title|defaultsort|
    coord missing|featured list|
    multiple image|multiple images|double image|triple image|wide image|image frame|image|
    css image crop|gallery|panorama|
    location map|location map+|location map many|location map~|mapframe|maplink|osm location map|
    annotated image|
    flagicon|flag icon|flagdeco|flagicon image|flagathlete icon|flagiconimage|increase|decrease|
    steady|gain|profit|loss icon|
    hs|hidden sort|sortkey|ntsh|dtsh|hidden begin|hidden end|col-begin|col-end|col-break|colbegin|
    colend|div col end|
    div col start|div end|end div col|columns end|multicol|multicol-break|multicol-end|col begin|
    col end|col break|
    end|s-start|s-end|s-bef|s-ttl|s-aft|s-vac|s-new|s-non|s-inc|s-off|s-par|s-ppo|s-hon|s-roy|s-reg|s-break|s-rel|s-mil|
    succession box|start box|end box|navboxes|navbox|sidebar|start srbox|official website|
    official|imdb name|imdb title|
    dmoz|curlie|find a grave|gutenberg author|internet archive author|librivox author|twitter|
    facebook|instagram|youtube|
    discogs artist|musicbrainz artist|allmusic|worldcat id|webarchive|wayback|cbignore|bots|
    nobots|tl|tlx|tlp|tlc|tld|para|
    template link|template|documentation|doc|sandbox|void|null|nop|1x-void|pad|padding|
    resize image|shortcut|for loop|
    time ago|time ago in words|years ago|spoken|audio icon|pronunciation icon|loudspeaker|
    speaker icon|imagemap|
    chart|chart/start|chart/end|chart top|chart bottom|tree chart|tree chart/start|tree chart/end|
    familytree|
    familytree/start|familytree/end|graph:chart|climate chart|bartable|weather box|
    historical populations|
    clade|cladogram|ahnentafel|periodic table|taxobox|automatic taxobox|speciesbox|geobox|
    ethnologue|chembox|drugbox|
    protein|enzyme|starbox begin|starbox end|mycomorphbox|album ratings|track listing|tracklist|
    extra track listing|
    tracklisting|cast listing|end cast listing|episode list|episode table|football box|
    footballbox|goal|cards|fs start|
    fs player|fs end|fb start|fb end|medal|medalsport|medalbox|yel|sent off|subon|suboff|player|
    sports table|
    """.replace("\n", "").replace("    ", "").split("|")
)  # fmt: skip
_DROPPED_LOCAL: dict[str, frozenset[str]] = {
    lang: frozenset(names.split("|"))
    for lang, names in {
        "ja": "要出典|脚注ヘルプ|脚注|出典|節スタブ|出典の明記|独自研究|混同|誰|誰2|いつ|どこ|"
        "要検証|精度|正確性|未検証|"
        "ウィキ座標度分秒|ウィキ座標2段度分秒|ウィキポータルリンク|デフォルトソート|ページ番号|要ページ番号|国際連合公用語|"
        "aimai|暫定記事名|記事名の制約|特殊文字|半保護|保護|良質な記事|秀逸な記事|告知|複数の問題|内容過剰|参照方法|"
        "基礎自治体位置図|人口統計|redirect|redirectlist|after float",
        "de": "hauptartikel|siehe auch|belege fehlen|belege|überarbeiten|lückenhaft|quelle|"
        "literatur|internetquelle|"
        "webarchiv|toter link|dieser artikel|begriffsklärung|begriffsklärungshinweis|coordinate|"
        "anker|0|imdb|"
        "exzellent|lesenswert|navigationsleiste|commonscat|wiktionary|wikiquote|wikisource|"
        "bibisbn|all coordinates",
        "fr": "article détaillé|article connexe|voir homonymes|voir homonyme|ébauche|"
        "référence souhaitée vide|ouvrage|article|"
        "lien web|références|à sourcer|source insuffisante|quoi|qui|quand|refsou|palette|portail|"
        "autres projets|"
        "homonymie|bandeau|confusion|à ne pas confondre|coord|sfn|note|pas clair|"
        "précision nécessaire|lequel|où|"
        "clr|ancre|liens|bases|dictionnaires|début de colonnes|fin de colonnes|colonne|"
        "multi bandeau|harvsp|rp",
        "es": "cita requerida|ap|vt|vt2|ad|véase también|véase|referencias|listaref|cita web|"
        "cita libro|cita publicación|"
        "cita noticia|aclarar|quién|cuándo|redirige aquí|otros usos|distíngase|coord|"
        "control de autoridades|sin referencias|"
        "referencias adicionales|harvnp|enlace roto|refn|portal|desambiguación|destacado bueno|"
        "wikificar|mejorar",
        "it": "vedi anche|nota disambigua|cita libro|cita web|cita|cita pubblicazione|cita news|"
        "f|s-bio|interprogetto|portale|"
        "controllo di autorità|torna a|bio|coord|organizzare|nd|senza fonte|note strette|"
        "references|stub|tradotto da|"
        "collegamenti esterni|da chiarire|chi|quando|dove|p|w|a|avvisounicode",
        "pt": "artigo principal|ver artigo principal|vejatambém|ver também|referências|citar web|"
        "citar livro|citar periódico|"
        "carece de fontes|quem|quando|onde|sem-fontes|mais notas|esboço|portal3|"
        "controle de autoria|ref-section|coor|"
        "reciclagem|minidesambig|desambiguação|não confundir|correlatos|info|harvy",
        "ru": "основная статья|main|см. также|см.также|нет источника|нет аи|кто|когда|где|кем|"
        "чей|какой|уточнить|источник|"
        "книга|статья|cite web|примечания|reflist|sfn|значения|другие значения|о|перенаправление|"
        "вс|координаты|coord|"
        "библиоинфо|внешние ссылки|карточка|переписать|плохой перевод|дополнить раздел|стиль|"
        "нет сносок|обн|флаг|"
        "флаг россии|избранная статья|хорошая статья|добротная статья|родственные проекты|"
        "навигация|тематические сайты|"
        "нет ссылок|проверить|неоднозначность|якорь|anchor|тсс|кол|конец кол|ref-en|ref-ru|"
        "ref-de|ref-fr|wayback|webarchive",
        "uk": "main|основна стаття|див. також|джерело|хто|коли|де|уточнити|книга|стаття|примітки|"
        "reflist|sfn|coord|портал|"
        "бібліоінформація|ref-en|ref-uk|ref-ru|ref-de|ref-fr|без джерел|стиль|вікіфікувати|"
        "значення|якір|факт",
        "pl": "fakt|przypisy|osobny artykuł|seealso|cytuj|cytuj stronę|cytuj książkę|cytuj pismo|"
        "dopracować|kto|kiedy|gdzie|"
        "r|odn|o|spis treści|koordynaty|kontrola autorytatywna|główny artykuł|inne znaczenia|"
        "wikisłownik|siostrzane projekty|"
        "kiedy|który|jaki|przypis|refn|uwaga|uwagi|ujednoznacznienie|commonscat|nawigacja",
        "nl": "bron?|feit|zie hoofdartikel|zie ook|appendix|references|citeer web|citeer boek|"
        "coor|dp|zieook|wie|wanneer|"
        "commons|bibliografische informatie|navigatie|beginnetje|meebezig|zijbalk|clearboth|clear",
        "sv": "källa behövs|fakta|huvudartikel|se även|referenser|webbref|bokref|tidskriftsref|"
        "noter|stub|auktoritetsdata|"
        "förgrening|gren|koord|vem|när|var|källor|fotnot|ej övers|rensa|innehållsförteckning|"
        "uppslagsordshänvisning",
        "zh": "main|see also|fact|来源请求|來源請求|者|谁|誰|何时|reflist|authority control|"
        "noteta|notetA|消歧义|refimprove|"
        "翻譯|unreferenced|rough translation|cite web|coord|wikify|wikicommonscat|portal|subst|"
        "地区用词|地區用詞|-|not|"
        "requires|原創研究|where|when|clarify|vgname|ja-romaji",
        "ko": "참고|출처|출처 필요|각주|본문|본문2|더 보기|다른 뜻|다른 뜻 넘어옴|위키공용분류|"
        "전거 통제|웹 인용|서적 인용|"
        "저널 인용|뉴스 인용|누가|언제|어디|정리 필요|토막글|위키데이터 속성 추적|공용분류|좌표|"
        "편집 필요|동음이의",
        "bg": "източник|основна|вижте също|кой|кога|къде|цитат уеб|цитат книга|цитат периодика|"
        "пояснение-липса|мъниче|"
        "портал|нормативен контрол|без източници|форматиране|reflist|commonscat|coord|превод от|"
        "превод|към пояснение|"
        "други значения|вежте|уебцитат|цитирани източници",
    }.items()
}
_DROPPED_PREFIX = re.compile(
    r"(?:cite|infobox|navbox|user|pp-|r from|r to|vgy|s-|wikiproject|commons|wikisource|"
    "libraries|taxonomy|"
    r"geographic location|lead |more |campaignbox|main |use |authority|карточка|шаблон:карточка|"
    "info/|ficha de|"
    r"книга|基礎情報|infobox\w*|citar|cita |citeer|cytuj|citace)\b",
)
_DROPPED_SUFFIX = re.compile(
    r"(?:[-\s](?:stub|inline-stub|navbox|infobox|topics|sidebar|icon image))$"
)


@functools.lru_cache(maxsize=20_000)
def is_dropped(key: str, lang: str) -> bool:
    """Whether a template is a reference, navigation, a box or a maintenance note.

    Args:
        key: lower case, single spaces, without namespace.
        lang: language of the wiki.
    """
    return (
        key in _DROPPED_NAMES
        or key in _DROPPED_LOCAL.get(lang, ())
        or _DROPPED_PREFIX.match(key) is not None
        or _DROPPED_SUFFIX.search(key) is not None
    )
