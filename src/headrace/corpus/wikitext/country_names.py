"""Countries of the templates that are named by a code (`{{USA}}`), English and Japanese.

Source: ISO 3166-1 alpha-3 and the IOC's codes where the wikis use them.
"""

from __future__ import annotations

import functools

_NAMES = """
AFG Afghanistan=アフガニスタン|ALB Albania=アルバニア|DZA Algeria=アルジェリア|
AND Andorra=アンドラ|AGO Angola=アンゴラ|ARG Argentina=アルゼンチン|ARM Armenia=アルメニア|
AUS Australia=オーストラリア|AUT Austria=オーストリア|AZE Azerbaijan=アゼルバイジャン|
BHS Bahamas=バハマ|BHR Bahrain=バーレーン|BGD Bangladesh=バングラデシュ|BRB Barbados=バルバドス|
BLR Belarus=ベラルーシ|BEL Belgium=ベルギー|BLZ Belize=ベリーズ|BEN Benin=ベナン|
BTN Bhutan=ブータン|BOL Bolivia=ボリビア|BIH Bosnia and Herzegovina=ボスニア・ヘルツェゴビナ|
BWA Botswana=ボツワナ|BRA Brazil=ブラジル|BRN Brunei=ブルネイ|BGR Bulgaria=ブルガリア|
BFA Burkina Faso=ブルキナファソ|BDI Burundi=ブルンジ|KHM Cambodia=カンボジア|
CMR Cameroon=カメルーン|CAN Canada=カナダ|CPV Cape Verde=カーボベルデ|
CAF Central African Republic=中央アフリカ共和国|TCD Chad=チャド|CHL Chile=チリ|CHN China=中国|
PRC China=中華人民共和国|COL Colombia=コロンビア|COM Comoros=コモロ|
COG Republic of the Congo=コンゴ共和国|COD Democratic Republic of the Congo=コンゴ民主共和国|
CRI Costa Rica=コスタリカ|CIV Ivory Coast=コートジボワール|HRV Croatia=クロアチア|
CRO Croatia=クロアチア|CUB Cuba=キューバ|CYP Cyprus=キプロス|CZE Czech Republic=チェコ|
DNK Denmark=デンマーク|DEN Denmark=デンマーク|DJI Djibouti=ジブチ|DMA Dominica=ドミニカ国|
DOM Dominican Republic=ドミニカ共和国|TLS East Timor=東ティモール|ECU Ecuador=エクアドル|
EGY Egypt=エジプト|SLV El Salvador=エルサルバドル|GNQ Equatorial Guinea=赤道ギニア|
ERI Eritrea=エリトリア|EST Estonia=エストニア|SWZ Eswatini=エスワティニ|ETH Ethiopia=エチオピア|
FJI Fiji=フィジー|FIN Finland=フィンランド|FRA France=フランス|GAB Gabon=ガボン|
GMB Gambia=ガンビア|GEO Georgia=ジョージア|DEU Germany=ドイツ|GER Germany=ドイツ|GHA Ghana=ガーナ|
GRC Greece=ギリシャ|GRE Greece=ギリシャ|GRD Grenada=グレナダ|GTM Guatemala=グアテマラ|
GIN Guinea=ギニア|GNB Guinea-Bissau=ギニアビサウ|GUY Guyana=ガイアナ|HTI Haiti=ハイチ|
HND Honduras=ホンジュラス|HKG Hong Kong=香港|HUN Hungary=ハンガリー|ISL Iceland=アイスランド|
IND India=インド|IDN Indonesia=インドネシア|IRN Iran=イラン|IRQ Iraq=イラク|
IRL Ireland=アイルランド|ISR Israel=イスラエル|ITA Italy=イタリア|JAM Jamaica=ジャマイカ|
JPN Japan=日本|JOR Jordan=ヨルダン|KAZ Kazakhstan=カザフスタン|KEN Kenya=ケニア|
KIR Kiribati=キリバス|KOR South Korea=韓国|PRK North Korea=朝鮮民主主義人民共和国|
KWT Kuwait=クウェート|KGZ Kyrgyzstan=キルギス|LAO Laos=ラオス|LVA Latvia=ラトビア|
LBN Lebanon=レバノン|LSO Lesotho=レソト|LBR Liberia=リベリア|LBY Libya=リビア|
LIE Liechtenstein=リヒテンシュタイン|LTU Lithuania=リトアニア|LUX Luxembourg=ルクセンブルク|
MAC Macau=マカオ|MDG Madagascar=マダガスカル|MWI Malawi=マラウイ|MYS Malaysia=マレーシア|
MAS Malaysia=マレーシア|MDV Maldives=モルディブ|MLI Mali=マリ|MLT Malta=マルタ|
MHL Marshall Islands=マーシャル諸島|MRT Mauritania=モーリタニア|MUS Mauritius=モーリシャス|
MEX Mexico=メキシコ|FSM Federated States of Micronesia=ミクロネシア連邦|MDA Moldova=モルドバ|
MCO Monaco=モナコ|MNG Mongolia=モンゴル国|MNE Montenegro=モンテネグロ|MAR Morocco=モロッコ|
MOZ Mozambique=モザンビーク|MMR Myanmar=ミャンマー|NAM Namibia=ナミビア|NRU Nauru=ナウル|
NPL Nepal=ネパール|NLD Netherlands=オランダ|NED Netherlands=オランダ|
NZL New Zealand=ニュージーランド|NIC Nicaragua=ニカラグア|NER Niger=ニジェール|
NGA Nigeria=ナイジェリア|MKD North Macedonia=北マケドニア|NOR Norway=ノルウェー|OMN Oman=オマーン|
PAK Pakistan=パキスタン|PLW Palau=パラオ|PSE Palestine=パレスチナ|PAN Panama=パナマ|
PNG Papua New Guinea=パプアニューギニア|PRY Paraguay=パラグアイ|PER Peru=ペルー|
PHL Philippines=フィリピン|PHI Philippines=フィリピン|POL Poland=ポーランド|
PRT Portugal=ポルトガル|POR Portugal=ポルトガル|PRI Puerto Rico=プエルトリコ|QAT Qatar=カタール|
ROU Romania=ルーマニア|RUS Russia=ロシア|RWA Rwanda=ルワンダ|WSM Samoa=サモア|
SMR San Marino=サンマリノ|SAU Saudi Arabia=サウジアラビア|SEN Senegal=セネガル|
SRB Serbia=セルビア|SYC Seychelles=セーシェル|SLE Sierra Leone=シエラレオネ|
SGP Singapore=シンガポール|SIN Singapore=シンガポール|SVK Slovakia=スロバキア|
SVN Slovenia=スロベニア|SLO Slovenia=スロベニア|SLB Solomon Islands=ソロモン諸島|
SOM Somalia=ソマリア|ZAF South Africa=南アフリカ共和国|RSA South Africa=南アフリカ共和国|
SSD South Sudan=南スーダン|ESP Spain=スペイン|LKA Sri Lanka=スリランカ|SDN Sudan=スーダン|
SUR Suriname=スリナム|SWE Sweden=スウェーデン|CHE Switzerland=スイス|SUI Switzerland=スイス|
SYR Syria=シリア|TWN Taiwan=台湾|ROC Taiwan=中華民国|TPE Chinese Taipei=チャイニーズタイペイ|
TJK Tajikistan=タジキスタン|TZA Tanzania=タンザニア|THA Thailand=タイ|TGO Togo=トーゴ|
TON Tonga=トンガ|TTO Trinidad and Tobago=トリニダード・トバゴ|TUN Tunisia=チュニジア|
TUR Turkey=トルコ|TKM Turkmenistan=トルクメニスタン|TUV Tuvalu=ツバル|UGA Uganda=ウガンダ|
UKR Ukraine=ウクライナ|ARE United Arab Emirates=アラブ首長国連邦|
UAE United Arab Emirates=アラブ首長国連邦|GBR United Kingdom=イギリス|UK United Kingdom=イギリス|
USA United States=アメリカ合衆国|URY Uruguay=ウルグアイ|UZB Uzbekistan=ウズベキスタン|
VUT Vanuatu=バヌアツ|VAT Vatican City=バチカン|VEN Venezuela=ベネズエラ|VNM Vietnam=ベトナム|
VIE Vietnam=ベトナム|YEM Yemen=イエメン|ZMB Zambia=ザンビア|ZWE Zimbabwe=ジンバブエ|
ENG England=イングランド|SCO Scotland=スコットランド|WAL Wales=ウェールズ|
NIR Northern Ireland=北アイルランド|URS Soviet Union=ソビエト連邦|SSR Soviet Union=ソビエト連邦|
YUG Yugoslavia=ユーゴスラビア|TCH Czechoslovakia=チェコスロバキア|GDR East Germany=東ドイツ|
DDR East Germany=東ドイツ|FRG West Germany=西ドイツ|
SADR Sahrawi Arab Democratic Republic=サハラ・アラブ民主共和国|EU European Union=欧州連合|
UN United Nations=国際連合|GRL Greenland=グリーンランド|GUM Guam=グアム|KOS Kosovo=コソボ|
CHI Chile=チリ|ALG Algeria=アルジェリア|INA Indonesia=インドネシア|
KSA Saudi Arabia=サウジアラビア|
"""


@functools.cache
def _table() -> dict[str, tuple[str, str]]:
    table: dict[str, tuple[str, str]] = {}
    for entry in _NAMES.replace("\n", "").split("|"):
        code, _, names = entry.partition(" ")
        english, _, japanese = names.partition("=")
        if japanese:
            table[code.lower()] = english, japanese
    return table


def country_name(code: str, lang: str) -> str:
    """The country of a code on the English and Japanese wikis; "" for none and on others."""
    column = {"en": 0, "simple": 0, "ja": 1}.get(lang)
    names = _table().get(code.lower())
    return "" if names is None or column is None else names[column]
