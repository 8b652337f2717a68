"""Names of months and days of the week by language.

Source: the languages' own use in dates (the genitive where a day stands before the month).
"""

from __future__ import annotations

from headrace.corpus.wikitext.word_lists import words

ENGLISH_MONTHS = words(
    "January February March April May June July August September October November December"
)
MONTHS: dict[str, list[str]] = {
    "en": ENGLISH_MONTHS,
    "de": words(
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
    ),
    "fr": words(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
    ),
    "es": words(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
        "diciembre"
    ),
    "it": words(
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
        "dicembre"
    ),
    "pt": words(
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
        "dezembro"
    ),
    "nl": words(
        "januari februari maart april mei juni juli augustus september oktober november "
        "december"
    ),
    "sv": words(
        "januari februari mars april maj juni juli augusti september oktober november "
        "december"
    ),
    "ru": words(
        "января февраля марта апреля мая июня июля августа сентября октября ноября декабря"
    ),
    "uk": words(
        "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада "
        "грудня"
    ),
    "bg": words(
        "януари февруари март април май юни юли август септември октомври ноември декември"
    ),
    "pl": words(
        "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października "
        "listopada grudnia"
    ),
    "cs": words(
        "ledna února března dubna května června července srpna září října listopadu prosince"
    ),
    "ja": [f"{n}月" for n in range(1, 13)],
    "zh": [f"{n}月" for n in range(1, 13)],
    "ko": [f"{n}월" for n in range(1, 13)],
}  # fmt: skip
# Titles of months where running text inflects them.
NOMINATIVE_MONTHS: dict[str, list[str]] = {
    "ru": words(
        "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь"
    ),
    "uk": words(
        "січень лютий березень квітень травень червень липень серпень вересень жовтень "
        "листопад грудень"
    ),
    "pl": words(
        "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik "
        "listopad grudzień"
    ),
    "cs": words(
        "leden únor březen duben květen červen červenec srpen září říjen listopad prosinec"
    ),
}  # fmt: skip
WEEKDAYS: dict[str, list[str]] = {
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "de": ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    "fr": ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    "es": ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
    "it": ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"],
    "ja": ["月曜日", "火曜日", "水曜日", "木曜日", "金曜日", "土曜日", "日曜日"],
    "ru": ["понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"],
}  # fmt: skip
