"""Names of languages, and how each wiki introduces a foreign word ("German: Haus", "нем. Haus").

Source: the wikis' `lang-xx` templates and ISO 639.
"""

from __future__ import annotations

import functools

_ENGLISH = """
ab Abkhaz|ace Acehnese|af Afrikaans|ak Akan|akk Akkadian|als Alemannic German|am Amharic|
an Aragonese|ang Old English|ar Arabic|arc Aramaic|arn Mapudungun|arz Egyptian Arabic|as Assamese|
ast Asturian|av Avar|ay Aymara|az Azerbaijani|ba Bashkir|bar Bavarian|be Belarusian|bg Bulgarian|
bi Bislama|bm Bambara|bn Bengali|bo Standard Tibetan|br Breton|bs Bosnian|ca Catalan|ce Chechen|
ceb Cebuano|chr Cherokee|ckb Central Kurdish|co Corsican|cop Coptic|cr Cree|crh Crimean Tatar|
cs Czech|cu Church Slavonic|cv Chuvash|cy Welsh|da Danish|de German|dsb Lower Sorbian|dv Dhivehi|
dz Dzongkha|ee Ewe|egy Egyptian|el Greek|en English|enm Middle English|eo Esperanto|es Spanish|
et Estonian|eu Basque|fa Persian|ff Fula|fi Finnish|fil Filipino|fj Fijian|fo Faroese|fr French|
frm Middle French|fro Old French|fur Friulian|fy West Frisian|ga Irish|gag Gagauz|
gd Scottish Gaelic|gez Geʽez|gl Galician|gn Guarani|goh Old High German|got Gothic|
grc Ancient Greek|gsw Swiss German|gu Gujarati|gv Manx|ha Hausa|haw Hawaiian|he Hebrew|hi Hindi|
hit Hittite|hr Croatian|hsb Upper Sorbian|ht Haitian Creole|hu Hungarian|hy Armenian|
ia Interlingua|id Indonesian|ig Igbo|ilo Ilocano|is Icelandic|it Italian|iu Inuktitut|ja Japanese|
jv Javanese|ka Georgian|kab Kabyle|kk Kazakh|kl Greenlandic|km Khmer|kn Kannada|ko Korean|
ks Kashmiri|ku Kurdish|kv Komi|kw Cornish|ky Kyrgyz|la Latin|lad Judaeo-Spanish|lb Luxembourgish|
li Limburgish|lij Ligurian|ln Lingala|lmo Lombard|lo Lao|lt Lithuanian|lv Latvian|mg Malagasy|
mh Marshallese|mi Māori|mk Macedonian|ml Malayalam|mn Mongolian|mr Marathi|ms Malay|mt Maltese|
mul multiple languages|mwl Mirandese|my Burmese|na Nauruan|nah Nahuatl|nap Neapolitan|
nb Norwegian Bokmål|nds Low German|ne Nepali|nl Dutch|nn Norwegian Nynorsk|no Norwegian|
non Old Norse|nrm Norman|nso Northern Sotho|nv Navajo|ny Chewa|oc Occitan|om Oromo|or Odia|
os Ossetian|ota Ottoman Turkish|pa Punjabi|pam Kapampangan|pap Papiamento|pcd Picard|pi Pali|
pl Polish|pms Piedmontese|pnb Western Punjabi|pro Old Provençal|ps Pashto|pt Portuguese|
qu Quechua|rm Romansh|rn Kirundi|ro Romanian|rom Romani|ru Russian|rue Rusyn|rup Aromanian|
rw Kinyarwanda|sa Sanskrit|sah Yakut|sc Sardinian|scn Sicilian|sco Scots|sd Sindhi|
se Northern Sami|sga Old Irish|sh Serbo-Croatian|si Sinhala|sk Slovak|sl Slovene|sm Samoan|
sn Shona|so Somali|sq Albanian|sr Serbian|ss Swazi|st Sotho|su Sundanese|sux Sumerian|sv Swedish|
sw Swahili|syr Syriac|szl Silesian|ta Tamil|te Telugu|tet Tetum|tg Tajik|th Thai|ti Tigrinya|
tk Turkmen|tl Tagalog|tn Tswana|to Tongan|tpi Tok Pisin|tr Turkish|ts Tsonga|tt Tatar|tw Twi|
ty Tahitian|udm Udmurt|ug Uyghur|uk Ukrainian|ur Urdu|uz Uzbek|ve Venda|vec Venetian|
vi Vietnamese|vls West Flemish|vo Volapük|wa Walloon|wo Wolof|xh Xhosa|yi Yiddish|yo Yoruba|
yue Cantonese|za Zhuang|zh Chinese|zu Zulu|roa-tara Tarantino|zh-hans simplified Chinese|
zh-hant traditional Chinese|sr-cyrl Serbian Cyrillic|sr-latn Serbian|grc-gre Ancient Greek|
gre Greek|fr-ca Canadian French|en-us American English|en-gb British English|
pt-br Brazilian Portuguese|be-tarask Belarusian|peo Old Persian|pal Middle Persian|
xcl Classical Armenian|orv Old East Slavic|osp Old Spanish|gml Middle Low German|
gmh Middle High German|odt Old Dutch|dum Middle Dutch|phn Phoenician|ltg Latgalian|sgs Samogitian|
liv Livonian|vep Veps|krl Karelian|myv Erzya|mdf Moksha|mhr Mari|bxr Buryat|tyv Tuvan|xal Kalmyk|
lez Lezgian|inh Ingush|kbd Kabardian|ady Adyghe|krc Karachay-Balkar|nog Nogai|kum Kumyk|lbe Lak|
smn Inari Sami|sms Skolt Sami|sma Southern Sami|smj Lule Sami|fit Meänkieli|
aii Assyrian Neo-Aramaic|ami Amis|ban Balinese|bcl Central Bikol|bjn Banjarese|bug Buginese|
war Waray|pag Pangasinan|mad Madurese|min Minangkabau|hak Hakka|nan Hokkien|wuu Wu Chinese|
cdo Eastern Min|gan Gan Chinese|mnc Manchu|ain Ainu|ryu Okinawan|ojb Ojibwe|oj Ojibwe|lkt Lakota|
moh Mohawk|
"""
_JAPANESE = """
af アフリカーンス語|am アムハラ語|ar アラビア語|az アゼルバイジャン語|be ベラルーシ語|
bg ブルガリア語|bn ベンガル語|bo チベット語|br ブルトン語|bs ボスニア語|ca カタルーニャ語|
cs チェコ語|cy ウェールズ語|da デンマーク語|de ドイツ語|dv ディベヒ語|dz ゾンカ語|el ギリシア語|
en 英語|eo エスペラント語|es スペイン語|et エストニア語|eu バスク語|fa ペルシア語|
fi フィンランド語|fil フィリピン語|fj フィジー語|fr フランス語|fy 西フリジア語|ga アイルランド語|
gd スコットランド・ゲール語|gl ガリシア語|gn グアラニー語|grc 古代ギリシャ語|gu グジャラート語|
he ヘブライ語|hi ヒンディー語|hr クロアチア語|ht ハイチ語|hu ハンガリー語|hy アルメニア語|
id インドネシア語|is アイスランド語|it イタリア語|ja 日本語|jv ジャワ語|ka ジョージア語|
kk カザフ語|km クメール語|ko 朝鮮語|ku クルド語|ky キルギス語|la ラテン語|lb ルクセンブルク語|
lo ラーオ語|lt リトアニア語|lv ラトビア語|mg マダガスカル語|mi マオリ語|mk マケドニア語|
mn モンゴル語|ms マレー語|mt マルタ語|my ビルマ語|nd 北ンデベレ語|ne ネパール語|nl オランダ語|
no ノルウェー語|nb ノルウェー語|nn ニーノシュク|nr 南ンデベレ語|oc オック語|pa パンジャーブ語|
pl ポーランド語|ps パシュトー語|pt ポルトガル語|qu ケチュア語|rm ロマンシュ語|ro ルーマニア語|
ru ロシア語|rw ルワンダ語|sa サンスクリット|si シンハラ語|sk スロバキア語|sl スロベニア語|
sm サモア語|so ソマリ語|sq アルバニア語|sr セルビア語|st ソト語|sv スウェーデン語|sw スワヒリ語|
ta タミル語|te テルグ語|tg タジク語|th タイ語|ti ティグリニャ語|tk トルクメン語|tl タガログ語|
to トンガ語|tr トルコ語|uk ウクライナ語|ur ウルドゥー語|uz ウズベク語|vi ベトナム語|xh コサ語|
yi イディッシュ語|zh 中国語|zu ズールー語|ang 古英語|ain アイヌ語|got ゴート語|egy エジプト語|
ve ヴェンダ語|ts ツォンガ語|tn ツワナ語|ss スワジ語|zh-hans 簡体字中国語|zh-hant 繁体字中国語|
"""
_GERMAN = """
en englisch|fr französisch|la lateinisch|el griechisch|grc altgriechisch|it italienisch|
es spanisch|pt portugiesisch|ru russisch|uk ukrainisch|pl polnisch|cs tschechisch|sk slowakisch|
sl slowenisch|hr kroatisch|sr serbisch|bs bosnisch|bg bulgarisch|mk mazedonisch|be belarussisch|
nl niederländisch|da dänisch|sv schwedisch|no norwegisch|nb norwegisch|is isländisch|fi finnisch|
et estnisch|lv lettisch|lt litauisch|hu ungarisch|ro rumänisch|sq albanisch|tr türkisch|
ar arabisch|he hebräisch|fa persisch|hi hindi|ja japanisch|zh chinesisch|ko koreanisch|
vi vietnamesisch|th thailändisch|ka georgisch|hy armenisch|az aserbaidschanisch|kk kasachisch|
eu baskisch|ca katalanisch|ga irisch|cy walisisch|eo Esperanto|sa Sanskrit|id indonesisch|
de deutsch|lb luxemburgisch|mn mongolisch|gl galicisch|oc okzitanisch|br bretonisch|
"""
_FRENCH = """
en anglais|fr français|la latin|el grec|grc grec ancien|it italien|es espagnol|pt portugais|
ru russe|uk ukrainien|pl polonais|cs tchèque|sk slovaque|sl slovène|hr croate|sr serbe|bg bulgare|
mk macédonien|be biélorusse|nl néerlandais|da danois|sv suédois|no norvégien|is islandais|
fi finnois|et estonien|lv letton|lt lituanien|hu hongrois|ro roumain|sq albanais|tr turc|ar arabe|
he hébreu|fa persan|hi hindi|ja japonais|zh chinois|ko coréen|vi vietnamien|th thaï|ka géorgien|
hy arménien|eu basque|ca catalan|ga irlandais|br breton|oc occitan|de allemand|eo espéranto|
sa sanskrit|co corse|lb luxembourgeois|cy gallois|gl galicien|mn mongol|
"""
_SPANISH = """
en inglés|fr francés|la latín|el griego|grc griego antiguo|it italiano|es español|pt portugués|
ru ruso|uk ucraniano|pl polaco|cs checo|sk eslovaco|sl esloveno|hr croata|sr serbio|bg búlgaro|
nl neerlandés|da danés|sv sueco|no noruego|is islandés|fi finés|et estonio|lv letón|lt lituano|
hu húngaro|ro rumano|sq albanés|tr turco|ar árabe|he hebreo|fa persa|hi hindi|ja japonés|zh chino|
ko coreano|vi vietnamita|th tailandés|ka georgiano|hy armenio|eu euskera|ca catalán|ga irlandés|
de alemán|eo esperanto|sa sánscrito|gl gallego|qu quechua|ay aimara|gn guaraní|nah náhuatl|
"""
_ITALIAN = """
en inglese|fr francese|la latino|el greco|grc greco antico|it italiano|es spagnolo|pt portoghese|
ru russo|uk ucraino|pl polacco|cs ceco|sk slovacco|sl sloveno|hr croato|sr serbo|bg bulgaro|
nl olandese|da danese|sv svedese|no norvegese|is islandese|fi finlandese|et estone|lv lettone|
lt lituano|hu ungherese|ro rumeno|sq albanese|tr turco|ar arabo|he ebraico|fa persiano|hi hindi|
ja giapponese|zh cinese|ko coreano|vi vietnamita|th thailandese|ka georgiano|hy armeno|eu basco|
ca catalano|ga irlandese|de tedesco|eo esperanto|sa sanscrito|
"""
_PORTUGUESE = """
en inglês|fr francês|la latim|el grego|grc grego clássico|it italiano|es castelhano|pt português|
ru russo|uk ucraniano|pl polaco|cs checo|sk eslovaco|sl esloveno|hr croata|sr sérvio|bg búlgaro|
nl neerlandês|da dinamarquês|sv sueco|no norueguês|is islandês|fi finlandês|et estoniano|lv letão|
lt lituano|hu húngaro|ro romeno|sq albanês|tr turco|ar árabe|he hebraico|fa persa|hi hindi|
ja japonês|zh chinês|ko coreano|vi vietnamita|th tailandês|ka georgiano|hy armênio|eu basco|
ca catalão|ga irlandês|de alemão|eo esperanto|sa sânscrito|gl galego|
"""
_DUTCH = """
en Engels|fr Frans|la Latijn|el Grieks|grc Oudgrieks|it Italiaans|es Spaans|pt Portugees|
ru Russisch|uk Oekraïens|pl Pools|cs Tsjechisch|sk Slowaaks|sl Sloveens|hr Kroatisch|sr Servisch|
bg Bulgaars|nl Nederlands|da Deens|sv Zweeds|no Noors|is IJslands|fi Fins|et Estisch|lv Lets|
lt Litouws|hu Hongaars|ro Roemeens|sq Albanees|tr Turks|ar Arabisch|he Hebreeuws|fa Perzisch|
ja Japans|zh Chinees|ko Koreaans|vi Vietnamees|de Duits|eu Baskisch|ca Catalaans|ga Iers|fy Fries|
af Afrikaans|id Indonesisch|
"""
_SWEDISH = """
en engelska|fr franska|la latin|el grekiska|grc klassisk grekiska|it italienska|es spanska|
pt portugisiska|ru ryska|uk ukrainska|pl polska|cs tjeckiska|sk slovakiska|sl slovenska|
hr kroatiska|sr serbiska|bg bulgariska|nl nederländska|da danska|sv svenska|no norska|
is isländska|fi finska|et estniska|lv lettiska|lt litauiska|hu ungerska|ro rumänska|sq albanska|
tr turkiska|ar arabiska|he hebreiska|fa persiska|ja japanska|zh kinesiska|ko koreanska|de tyska|
eu baskiska|ca katalanska|
"""
_RUSSIAN = """
en англ.|fr фр.|la лат.|el греч.|grc др.-греч.|it итал.|es исп.|pt порт.|uk укр.|pl польск.|
cs чеш.|sk словацк.|sl словен.|hr хорв.|sr серб.|bg болг.|mk макед.|be белор.|nl нидерл.|da дат.|
sv швед.|no норв.|is исл.|fi фин.|et эст.|lv латыш.|lt лит.|hu венг.|ro рум.|sq алб.|tr тур.|
ar араб.|he ивр.|yi идиш|fa перс.|hi хинди|ja яп.|zh кит.|ko кор.|vi вьетн.|th тайск.|ka груз.|
hy арм.|az азерб.|kk каз.|ky кирг.|uz узб.|tg тадж.|tk туркм.|tt тат.|ba башк.|cv чуваш.|mn монг.|
eu баск.|ca кат.|ga ирл.|de нем.|eo эспер.|sa санскр.|ru рус.|id индон.|os осет.|ce чеч.|
sah якут.|af африк.|lb люксемб.|mt мальт.|gl гал.|cy валл.|
"""
_UKRAINIAN = """
en англ.|fr фр.|la лат.|el грец.|grc дав.-гр.|it італ.|es ісп.|pt порт.|uk укр.|pl пол.|cs чеськ.|
sk словац.|sl словен.|hr хорв.|sr серб.|bg болг.|mk макед.|be біл.|nl нід.|da дан.|sv швед.|
no норв.|is ісл.|fi фін.|et ест.|lv латис.|lt лит.|hu угор.|ro рум.|sq алб.|tr тур.|ar араб.|
he івр.|yi їдиш|fa перс.|hi гінді|ja яп.|zh кит.|ko кор.|vi в'єт.|ka груз.|hy вірм.|az азерб.|
kk каз.|tt тат.|crh крим.|de нім.|ru рос.|eu баск.|ca кат.|ga ірл.|
"""
_BULGARIAN = """
en английски|fr френски|la латински|el гръцки|grc старогръцки|it италиански|es испански|
pt португалски|ru руски|uk украински|pl полски|cs чешки|sk словашки|sl словенски|hr хърватски|
sr сръбски|mk македонски|be беларуски|nl нидерландски|da датски|sv шведски|no норвежки|
is исландски|fi фински|et естонски|lv латвийски|lt литовски|hu унгарски|ro румънски|sq албански|
tr турски|ar арабски|he иврит|fa персийски|hi хинди|ja японски|zh китайски|ko корейски|
vi виетнамски|ka грузински|hy арменски|de немски|eu баски|ca каталонски|bg български|
ota османски турски|
"""
_CHINESE = """
en 英语|fr 法语|la 拉丁语|el 希腊语|grc 古希腊语|it 意大利语|es 西班牙语|pt 葡萄牙语|ru 俄语|
uk 乌克兰语|pl 波兰语|cs 捷克语|sk 斯洛伐克语|hr 克罗地亚语|sr 塞尔维亚语|bg 保加利亚语|nl 荷兰语|
da 丹麦语|sv 瑞典语|no 挪威语|is 冰岛语|fi 芬兰语|et 爱沙尼亚语|lv 拉脱维亚语|lt 立陶宛语|
hu 匈牙利语|ro 罗马尼亚语|sq 阿尔巴尼亚语|tr 土耳其语|ar 阿拉伯语|he 希伯来语|fa 波斯语|hi 印地语|
ja 日语|zh 中文|ko 韩语|vi 越南语|th 泰语|ka 格鲁吉亚语|hy 亚美尼亚语|kk 哈萨克语|mn 蒙古语|
bo 藏语|ug 维吾尔语|ms 马来语|id 印尼语|tl 他加禄语|de 德语|eo 世界语|sa 梵语|my 缅甸语|km 高棉语|
eu 巴斯克语|ca 加泰罗尼亚语|ga 爱尔兰语|
"""
_KOREAN = """
en 영어|fr 프랑스어|la 라틴어|el 그리스어|grc 고대 그리스어|it 이탈리아어|es 스페인어|
pt 포르투갈어|ru 러시아어|uk 우크라이나어|pl 폴란드어|cs 체코어|sk 슬로바키아어|hr 크로아티아어|
sr 세르비아어|bg 불가리아어|nl 네덜란드어|da 덴마크어|sv 스웨덴어|no 노르웨이어|is 아이슬란드어|
fi 핀란드어|et 에스토니아어|lv 라트비아어|lt 리투아니아어|hu 헝가리어|ro 루마니아어|sq 알바니아어|
tr 튀르키예어|ar 아랍어|he 히브리어|fa 페르시아어|hi 힌디어|ja 일본어|zh 중국어|ko 한국어|
vi 베트남어|th 태국어|ka 조지아어|hy 아르메니아어|kk 카자흐어|mn 몽골어|de 독일어|eo 에스페란토|
sa 산스크리트어|ms 말레이어|id 인도네시아어|ca 카탈루냐어|eu 바스크어|
"""
_POLISH = """
en ang.|fr fr.|la łac.|el gr.|grc st.gr.|it wł.|es hiszp.|pt port.|ru ros.|uk ukr.|cs czes.|
sk słow.|sl słoweń.|hr chorw.|sr serb.|bg bułg.|be biał.|nl niderl.|da duń.|sv szw.|no norw.|
is isl.|fi fiń.|et est.|lv łot.|lt lit.|hu węg.|ro rum.|sq alb.|tr tur.|ar arab.|he hebr.|
fa pers.|hi hindi|ja jap.|zh chiń.|ko kor.|ka gruz.|hy orm.|de niem.|eu bask.|ca kat.|ga irl.|
"""
_NAMES = {
    "en": _ENGLISH, "ja": _JAPANESE, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH, "it": _ITALIAN,
    "pt": _PORTUGUESE, "nl": _DUTCH, "sv": _SWEDISH, "ru": _RUSSIAN, "uk": _UKRAINIAN,
    "bg": _BULGARIAN, "zh": _CHINESE, "ko": _KOREAN, "pl": _POLISH,
}  # fmt: skip
_INTRODUCTIONS = {
    "de": "{} {}", "fr": "en {} : {}", "es": "en {}: {}", "it": "in {}: {}", "pt": "em {}: {}",
    "ru": "{} {}", "uk": "{} {}", "pl": "{} {}", "bg": "на {}: {}", "zh": "{}：{}",
}  # fmt: skip


@functools.cache
def _names(lang: str) -> dict[str, str]:
    pairs = (entry.strip().split(" ", 1) for entry in _NAMES[lang].split("|"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def language_name(code: str, lang: str) -> str:
    """The name of a language as a wiki's readers know it; the English one for want of it; or ""."""
    code = code.strip().lower().replace("_", "-")
    for names in (_names(lang) if lang in _NAMES else {}, _names("en")):
        for key in (code, code.partition("-")[0]):
            if key in names:
                return names[key]
    return ""


def introduce(code: str, text: str, lang: str) -> str:
    """A foreign word behind the name of its language; the word alone where that is unknown."""
    name = language_name(code, lang)
    return _INTRODUCTIONS.get(lang, "{}: {}").format(name, text) if name else text
