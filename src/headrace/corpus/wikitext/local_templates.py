"""Inline templates of the wikis that are not in English, by language.

Only what these wikis name or print in their own way; what they share with the English one is in the
common tables. Source: the templates' documentation on each wiki.
"""

from __future__ import annotations

import re

from headrace.corpus.wikitext.inline_languages import introduced, introduced_by_argument
from headrace.corpus.wikitext.inline_markup import (
    Inline,
    argument,
    block_quote,
    columns,
    comma_row,
    constant,
    content,
    inline_quote,
    last_argument,
    row,
    unordered_list,
    wrapped,
)
from headrace.corpus.wikitext.inline_numbers import fraction
from headrace.corpus.wikitext.local_functions import (
    birth_and_death,
    bulgarian_language,
    chinese_link,
    era,
    first_date,
    first_date_reversed,
    french_centuries,
    french_century,
    french_date,
    french_number,
    french_pattern,
    french_time,
    german_date,
    green_link,
    grouped,
    hanja,
    japanese_age,
    japanese_death,
    named_language,
    old_style,
    reading,
    red_link,
    ruby,
    second,
    spanish_date,
)
from headrace.corpus.wikitext.word_lists import words

_FIRST = argument("1", "text")


def _names(names: str, function: Inline) -> dict[str, Inline]:
    return dict.fromkeys(names.split("|"), function)


_JAPANESE: dict[str, Inline] = {
    **_names("読み仮名|読み仮名 ruby不使用|読み|よみがな|読み仮名2", reading),
    **_names("ルビ|ruby|ruby-ja|ふりがな|ruby2|ルビ2|ruby/fallback", ruby),
    **_names("補助漢字フォント|補助漢字|jis2004フォント|jis90フォント|jis x 0213フォント|cjk|"
        "拡張漢字|拡張漢字フォント|"
             "unicodeフォント|ja|en|fr|de|it|es|el|la|ru|zh|ko|pt|nl|ar|sa|fa|tr|he|hi|th|vi|pl|cs|sv|hu|"
             "fi|da|no|uk|grc|transl|右|中央|左|字体|大文字|大|小|下げ核|上げ核|アクセント|"
                 "visible anchor|"
             "改行禁止|改行不可|ウィクショナリー文|縦書き|下線|太字|斜体|外字|機種依存文字|lang2|太字斜体|上線|ipa2|ipa3",
             _FIRST),
    **_names("要出典範囲|いつ範囲|誰範囲|どこ範囲|疑問点範囲|要検証範囲|独自研究範囲|要説明範囲|正確性範囲|要追加記述範囲|"
             "信頼性要検証範囲|何範囲|要ページ番号範囲|未検証範囲|要校閲範囲|要曖昧さ回避範囲|独自研究?範囲|あいまい範囲|"
             "特筆性範囲|視点範囲|出典無効範囲|要高次出典範囲|なぜ範囲|精度範囲|"
                 "編集前コメント範囲|色|高線|ピン音|低線|平板|ピンイン", _FIRST),
    **_names("interlang", argument("3", "2")),
    **_names("色|color|背景色|fontcolor|文字色", last_argument),
    **_names("生年月日と年齢|生年月日|死亡年月日|開始日|日付|終了日|開業年月日|放送開始日|"
        "birth date", first_date),
    **_names("死亡年月日と没年齢|没年月日と年齢|死亡年月日と没年齢2", japanese_death),
    **_names("没年齢|没年齢2|享年|年齢|年数", japanese_age),
    **_names("和暦|元号|西暦元号", era),
    **_names("langwithname|rtl-langwithname|lang-with-name", named_language),
    **_names("表2列|表3列|2列|3列|段組|段組み|no col break|col-list", columns),
    **_names("hlist-comma", comma_row),
    **_names("引用|引用文|squote|quotation|bquote|cquote", block_quote()),
    **_names("鉤括弧|かぎ括弧", wrapped("「", "」")),
    **_names("audio|音声|audio-nohelp", second),
    **_names("p|wp|定義|display none|0|00|000|wd|自治体人口|pbox", constant("")),
    **_names("ウィキ座標|jis", constant("")),
    **_names("リンクなし|仮りんく", _FIRST),
}  # fmt: skip
_GERMAN: dict[str, Inline] = {
    **_names("zitat|zitat-fr|zitat-en|zitat-de|zitat-la|zitat-it|zitat-es|zitat-ru|vorlage zitat",
             block_quote(author=("2",), source=("ref",))),
    **_names('"|zitat inline', inline_quote("„", "“")),
    **_names("lang|arf|arxf|heb|hebrä|farsi|polytonisch|transl|textlang", last_argument),
    **_names("unicode|ipa|lautschrift|musik|schriftgröße|fett|kursiv|unterstrichen|überstrichen|"
             "rechtschreibung|sperrschrift|kapitälchen|nobr|nowrap|abk|tooltip|abkürzung|kasten|rotlink|"
             "fontcolor|überlinie|durchgestrichen|blockzitat|zentriert|bibelzitat", _FIRST),
    **_names("bruch|bruchzahl", fraction),
    **_names("datum|datum neu|datumzelle", german_date),
    **_names("zahl|formatnum|fn-zahl|höhe", grouped),
    **_names("mehrspaltige liste|liste", columns),
    **_names("euro", constant("€")),
    **_names("§", wrapped("§ ")),
    **_names("jap|japanisch", reading),
}  # fmt: skip
_FRENCH: dict[str, Inline] = {
    **_names("unité|unité/2|unite|nombre|nb|num|nombre signé|formatnombre|grd nombre|val",
        french_number),
    **_names("citation|citation étrangère|guil|guillemets|citation courte|« »|guillemet",
             inline_quote("«\u00a0", "\u00a0»")),
    **_names("citation bloc|bloc citation|début citation bloc|cita|extrait|citation en bloc|"
        "citation longue|"
             "épigraphe", block_quote()),
    **_names("langue|lang|texte en|lang-texte", last_argument),
    **_names("s|s-|s2-|siècle|siècles|s mini|s mini-|-s|-s-|s-m|s2|siècle av", french_century),
    **_names("sp-|sp|sap|-sp|-sp-|sp mini", french_centuries),
    **_names("date|date-|date de naissance|date de naissance-|date de décès|date républicaine|"
             "date de naissance simple|jour|date sport|date rép", french_date),
    **_names("heure|heures|durée", french_time),
    **_names("abréviation|abr|abréviation discrète|nobr|nobr romains|nbr|pc|petites capitales|"
        "petite capitale|"
             "référence nécessaire|refnec|référence souhaitée|passage non neutre|passage évasif|"
                 "pertinence|"
             "incompréhensible|terme défini|term|terme|souligner|barré|api|phon|page h|roi|"
                 "clarifier|"
             "lien brisé|lien mort|souligné|gras|italique|inconnu|graphie|couleur|phonétique|"
             "romanisation|transcription|translittération|non neutre|préciser-texte|surligner|"
             "lire|texte source|formatage inconnu", _FIRST),
    **_names("1er", constant("1er")), **_names("ier", constant("Ier")), **_names("1re",
        constant("1re")),
    **_names("ire", constant("Ire")), **_names("er|re|e|ème", constant("")),
    **_names("e", constant("e")), **_names("er", constant("er")), **_names("re", constant("re")),
    **_names("mme|mlle", wrapped("Mme ")), **_names("m.", wrapped("M. ")), **_names("dr|docteur",
        wrapped("Dr ")),
    **_names("p.|page", wrapped("p. ")), **_names("vol.", wrapped("vol. ")),
        **_names("n°|numéro|no", wrapped("no ")),
    **_names("saint|st", constant("saint")), **_names("incise", wrapped("– ", " –")),
    **_names("japonais", reading),
    **_names("liste horizontale", row), **_names("colonnes|liste éclatée", columns),
    **_names("liste à puces|liste simple", unordered_list),
    **_names("lien|lien interlangue|ill", argument("texte", "fr", "1", "trad")),
    **_names("fraction", fraction), **_names("exp|e-text", wrapped("<sup>", "</sup>")),
    **_names("euro|euros", constant("€")), **_names("centrer|boîte déroulante|alinéa", content),
}  # fmt: skip
_SPANISH: dict[str, Inline] = {
    **_names("cita|cita larga|cita destacada|quote|cquote|cita bloque|caja de cita", block_quote()),
    **_names("esd|unidad-", _FIRST), **_names("lang|idioma", last_argument),
    **_names("unidad|número|formatonum|nro", grouped), **_names("fecha|date", spanish_date),
    **_names("nobr|versalita|versalitas|sub|subrayado|abreviatura|sin cursiva|"
        "cita requerida-texto|tachado|"
             "color|afi|destacado|ancla visible|sic-texto", _FIRST),
    **_names("fecha de nacimiento|fecha de inicio|fecha de fin|fecha|fecha de estreno|"
        "fecha de fallecimiento",
             spanish_date),
    **_names("lista plana|lista horizontal", row),
        **_names("lista desplegable|columnas|lista de columnas", columns),
    **_names("siglo|siglos", wrapped("siglo ")), **_names("harvnp", constant("")),
}  # fmt: skip
_ITALIAN: dict[str, Inline] = {
    **_names("citazione|quote|cita bloc|blockquote", block_quote(author=("2",))),
    **_names("lang|lingua", last_argument), **_names("m|tanto|formatnum|cifra|unità", grouped),
    **_names("sigla|maiuscoletto|nowrap|sottolineato|ipa|afi|nobr|chiarire-testo|abbr|barrato|colore|cn-testo",
             _FIRST),
    **_names("senza fonte|citazione necessaria|chiarire|cn", _FIRST),
    **_names("inglese|en", introduced("en")), **_names("francese", introduced("fr")),
    **_names("tedesco", introduced("de")), **_names("spagnolo", introduced("es")),
    **_names("latino", introduced("la")), **_names("greco", introduced("el")),
    **_names("russo", introduced("ru")), **_names("arabo", introduced("ar")),
    **_names("giapponese", introduced("ja")), **_names("cinese", introduced("zh")),
    **_names("nihongo|jap", reading), **_names("simboli|simbolo", constant("")),
}  # fmt: skip
_PORTUGUESE: dict[str, Inline] = {
    **_names("quote|citação|cquote|citação destacada|quote1|quote2|citação2", block_quote()),
    **_names("lang|língua|idioma", last_argument),
        **_names("fmtn|formatar número|número|unidade", grouped),
    **_names("nobr|nowrap|versalete|sublinhado|riscado|ill-texto|ipa|afi|abrev", _FIRST),
    **_names("dni|dnibr|data|dtlink|dtext|nascimento|data de nascimento|fecha", spanish_date),
    **_names("lista horizontal", row), **_names("lista vertical|lista simples", unordered_list),
    **_names("ilc|ligação interlíngua|link-interwiki", _FIRST), **_names("séc|século",
        wrapped("século ")),
}  # fmt: skip
_SLAVIC: dict[str, Inline] = {
    **_names("нп|нп2|нп3|нп4|нп5|нп1|не переведено|не переведено 2|не переведено 3|не переведено 4|"
             "не переведено 5|не перекладено|нп-5|iw|iw2|iw3|iw5|не переведено5|перевод статьи|"
                 "нп6", red_link),
    **_names("цитата|начало цитаты|блок цитаты|quote|cquote|врезка цитаты|цитата2|цитат|врезка|"
        "blockquote",
             block_quote(author=("2", "автор"), source=("3", "источник"))),
    **_names("начало цитата|конец цитаты", constant("")),
    **_names("s|nobr|nowrap|нобр|math|mono|подчёркнуто|зачёркнутый|шрифт|уточнить текст|разрядка|"
        "капитель|abbr|"
             "аббр|якорь видимый|цвет|small|мфа|ipa|акцент|юникод|comment|комментарий|коммент|"
                 "подчеркнуто|"
             "mbox-text|неразрывный текст", _FIRST),
    **_names("сс|ss-date|oldstyledate|ст. ст.|старый стиль", old_style),
    **_names("s-число|число|num|формат числа|fmt|formatnum|s|число2", _FIRST),
    **_names("lang|языки|язык|мова", last_argument),
    **_names("comment|подсказка|tooltip", _FIRST), **_names("рубль|руб|₽", constant("₽")),
    **_names("дробь|frac", fraction), **_names("гривна|грн", constant("₴")),
    **_names("в степени|степень|sup", wrapped("<sup>", "</sup>")),
    **_names("флаг|флагификация", constant("")),
    **_names("флаг россии", constant("")),
    **_names("флагификация", _FIRST), **_names("евро", constant("€")), **_names("доллар",
        constant("$")),
    **_names("дата|дата рождения|дата смерти|дата народження", first_date_reversed),
    **_names("список|кол|горизонтальный список|hlist", row),
}  # fmt: skip


_POLISH: dict[str, Inline] = {
    **_names("cytat|cytatd|cytat d", block_quote(author=("2",), source=("3",))),
    **_names("cytat inline", inline_quote("„", "”")),
    **_names("j|nobr|nowrap|małe|kapitaliki|fakt-tekst|ipa|ipa2|ipa3|lang|podkreślenie|skrót|kolor|"
             "w|odn-tekst|unicode", last_argument),
    **_names("liczba|fnum", grouped), **_names("link-interwiki", argument("tekst", "1", "pl")),
    **_names("v|jap", _FIRST), **_names("dts", _FIRST),
}  # fmt: skip
_DUTCH: dict[str, Inline] = {
    **_names("citaat|cquote|citaat bloc|quote", block_quote()),
        **_names("nowrap|kk|klein|sc|afk|kleur", _FIRST),
    **_names("tnaam|taal|lang", last_argument), **_names("euro", constant("€")),
    **_names("breuk", fraction), **_names("bron?-tekst", _FIRST), **_names("formatnum", grouped),
}  # fmt: skip
_SWEDISH: dict[str, Inline] = {
    **_names("citat|blockcitat|citatblock|cquote", block_quote()), **_names("lang|språk",
        last_argument),
    **_names("nowrap|ickefet|liten|färg|understruken|nbsp-text", _FIRST), **_names("bråk",
        fraction),
    **_names("nts|formatnum", grouped),
}  # fmt: skip
_CHINESE: dict[str, Inline] = {
    **_names("tsl|translink", chinese_link),
    **_names("le|link-en|link-ja|link-de|link-fr|link-es|link-ru|link-it|link-ko|link-pt|link-nl|lj|li|"
             "internal link helper/en|internal link helper/ja|internal link helper|link-vi|"
                 "link-la|link-uk|"
             "link-ar|link-pl|link-sv|link-zh|link-interwiki|link-he|link-tr|link-cs", green_link),
    **_names("ill|interlanguage link", argument("lt", "1")),
    **_names("lang|le-lang", last_argument), **_names("ruby|注音|拼音", ruby),
    **_names("僻字|!!|zy-text|nowrap|不换行|不換行|小|big|僻字2|ja-link|jpn|kana", _FIRST),
    **_names("bd", birth_and_death), **_names("cquote|quote|引文|引用", block_quote()),
    **_names("lang-zh", argument("1")), **_names("日本漢字|日語", ruby),
    **_names("pinyin|py", _FIRST), **_names("birth date|birth date and age|生日|出生日期",
        first_date),
    **_names("jpn", constant("日本")), **_names("chn", constant("中国")), **_names("usa",
        constant("美国")),
    **_names("twn|roc", constant("中華民國")), **_names("kor", constant("韩国")),
}  # fmt: skip


_KOREAN: dict[str, Inline] = {
    **_names("llang|한자", introduced_by_argument), **_names("lang", last_argument),
    **_names("한자|hj|hanja", hanja), **_names("임시링크|임시 링크|ill", argument("레이블", "lt",
        "1")),
    **_names("인용문|인용|인용상자|quote|cquote", block_quote()), **_names("루비|ruby", ruby),
    **_names("nowrap|작게|크게|색|고니|옛한글|옛한글 처리 시작|첫가끝|더불어", _FIRST),
    **_names("출생일|사망일|출생일과 만나이|시작일", first_date), **_names("보이기 숨기기 없음",
        content),
    **_names("지구|지구 좌표", constant("")),
}  # fmt: skip
_BULGARIAN: dict[str, Inline] = {
    **_names("lang|езици|lang-text", bulgarian_language),
    **_names("цитат|quote|cquote|цитат2|blockquote", block_quote(author=("2",))),
    **_names("превод|превод от|ill", _FIRST),
        **_names("nobr|s|nowrap|мфа|ipa|ударение|пояснение|без пренос", _FIRST),
    **_names("дата|дата на раждане|дата на смърт", first_date_reversed),
    **_names("число|formatnum", grouped), **_names("дроб", fraction), **_names("лв",
        constant("лв.")),
    **_names("стар стил|ст. ст.|датаст", old_style), **_names("нп|нп5", red_link),
}  # fmt: skip

_LOCAL: dict[str, dict[str, Inline]] = {
    "ja": _JAPANESE, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH, "it": _ITALIAN,
    "pt": _PORTUGUESE, "ru": _SLAVIC, "uk": _SLAVIC, "be": _SLAVIC, "pl": _POLISH, "nl": _DUTCH,
    "sv": _SWEDISH, "zh": _CHINESE, "ko": _KOREAN, "bg": _BULGARIAN,
}  # fmt: skip
_GERMAN_LANGUAGE = re.compile(r"([a-z]{2,3})s")


def find_local_template(key: str, lang: str) -> Inline | None:
    """The template of this lower-case name on the wiki of a language, where it has its own."""
    table = _LOCAL.get(lang)
    if table is None:
        return None
    function = table.get(key)
    if function is not None:
        return function
    if lang == "de":
        match = _GERMAN_LANGUAGE.fullmatch(key)
        return introduced(match[1]) if match and match[1] in _GERMAN_CODES else None
    if lang == "fr":
        return french_pattern(key)
    return None


_GERMAN_CODES = set(
    words(
        "en fr la el grc it es pt ru uk pl cs sk sl hr sr bs bg mk be nl da sv no is fi et lv "
        "lt hu ro sq tr ar he fa hi ja zh ko vi th ka hy az kk eu ca ga cy gl oc br"
    )
)
