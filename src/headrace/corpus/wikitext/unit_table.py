"""The units of measurement that stand alone, by dimension; `units` derives the others.

Source: documentation of Template:Convert; the factors are the units' definitions.
"""

from __future__ import annotations

# codes (";") | symbol | name | plural ("" = name + "s") | factor to the dimension's base | default
UNIT_TABLE: dict[str, str] = {
    "length": """
m;metre;meter|m|metre||1|ft
in;inch|in|inch|inches|0.0254|mm
ft;foot|ft|foot|feet|0.3048|m
yd|yd|yard||0.9144|m
mi;mile|mi|mile||1609.344|km
nmi;NM|nmi|nautical mile||1852|km mi
oldUKnmi|nmi|nautical mile||1853.184|km mi
admi|nmi|admiralty mile||1853.184|km mi
furlong;furlongs|furlong|furlong||201.168|mi km
chain;ch|ch|chain||20.1168|ft m
rod;rd;pole;perch|rd|rod||5.0292|ft m
fathom;fathoms;fm|fathom|fathom||1.8288|ft m
hand;hands|h|hand||0.1016|in cm
league|league|league||4828.032|km
pica|pica|pica||0.004233333333333333|mm
thou;mil|thou|thou|thou|0.0000254|mm
uin;μin|μin|microinch|microinches|0.0000000254|nm
angstrom;Å;Angstrom|Å|ångström||0.0000000001|in
cable|cable|cable length||185.2|yd
ly|ly|light-year||9460730472580800|pc
pc|pc|parsec||30856775814913672.79|ly
kpc|kpc|kiloparsec||30856775814913672790|ly
Mpc|Mpc|megaparsec||30856775814913672790000|ly
Gpc|Gpc|gigaparsec||30856775814913672790000000|ly
kly|kly|kilolight-year||9460730472580800000|pc
Mly|Mly|megalight-year||9460730472580800000000|kpc
Gly|Gly|gigalight-year||9460730472580800000000000|Mpc
AU;au|AU|astronomical unit||149597870700|km mi
solar radius;solar radii;R_solar|R☉|solar radius|solar radii|695700000|km
Earth radius;R_earth|R⊕|Earth radius|Earth radii|6371000|km
verst|verst|verst||1066.8|km
li|li|li|li|500|mi
ri|ri|ri|ri|3927.27|km
shaku|shaku|shaku|shaku|0.303030303030303|m
ken|ken|ken|ken|1.81818181818182|m
smoot|smoot|smoot||1.7018|m
arshin|arshin|arshin||0.7112|m
""",
    "area": """
m2|m²|square metre||1|sqft
sqft;foot2;ft2;sq ft;square foot|sq ft|square foot|square feet|0.09290304|m2
sqin;in2;inch2;sq in|sq in|square inch|square inches|0.00064516|cm2
sqyd;yd2;sq yd|sq yd|square yard||0.83612736|m2
sqmi;mi2;sq mi;square mile|sq mi|square mile||2589988.110336|km2
sqnmi;nmi2|sq nmi|square nautical mile||3429904|km2 sqmi
acre;acres;ac|acre|acre||4046.8564224|ha
ha;hectare;hectares|ha|hectare||10000|acre
are;a|a|are||100|sqft
daa|daa|decare||1000|acre
dunam;dunum|dunam|dunam||1000|ha acre
rood|rood|rood||1011.7141056|sqft m2
arpent|arpent|arpent||3418.89|ha
tsubo|tsubo|tsubo|tsubo|3.305785124|m2
chō;cho|chō|chō|chō|9917.355372|ha
feddan|feddan|feddan||4200.83|ha
stremma|stremma|stremma|stremmata|1000|sqft
barn|b|barn||1e-28|m2
rai|rai|rai|rai|1600|ha
mu|mu|mu|mu|666.6666666666667|ha
pyeong|pyeong|pyeong|pyeong|3.305785124|m2
""",
    "volume": """
m3|m³|cubic metre||1|cuft
L;l;litre;liter|L|litre||0.001|impgal USgal
cc|cc|cubic centimetre||0.000001|cuin
cuft;ft3;cu ft;cubic foot|cu ft|cubic foot|cubic feet|0.028316846592|m3
cuin;in3;cu in|cu in|cubic inch|cubic inches|0.000016387064|cm3
cuyd;yd3;cu yd|cu yd|cubic yard||0.764554857984|m3
cumi;mi3;cu mi|cu mi|cubic mile||4168181825.440579584|km3
USgal;U.S.gal;usgal;US gal;gal;gallon;USgallon|US gal|US gallon||0.003785411784|L impgal
impgal;imp gal|imp gal|imperial gallon||0.00454609|L USgal
USqt;U.S.qt;qt;USquart|US qt|US quart||0.000946352946|ml
impqt|imp qt|imperial quart||0.0011365225|ml USoz
USpt;pt;U.S.pt|US pt|US pint||0.000473176473|ml imppt
imppt|imp pt|imperial pint||0.00056826125|ml
USoz;USfloz;USflozoz;U.S.floz;US fl oz;usfloz;floz|US fl oz|US fluid ounce||0.0000295735295625|ml
impoz;impfloz;imp fl oz|imp fl oz|imperial fluid ounce||0.0000284130625|ml
UScup;cup|cup|cup||0.0002365882365|ml
USbsh;bsh;USbushel|US bsh|US bushel||0.03523907016688|m3
impbsh;impbushel|imp bsh|imperial bushel||0.03636872|m3
bbl;oilbbl;barrel;USbeerbbl|bbl|barrel||0.158987294928|m3
impbbl|imp bbl|imperial barrel||0.16365924|L
acre.ft;acre·ft;acre-ft;acre ft;acreft;acre.foot|acre⋅ft|acre-foot|acre-feet|1233.48183754752|m3
USgill;gill|US gi|US gill||0.00011829411825|ml
tsp|tsp|teaspoon||0.00000492892159375|ml
tbsp|tbsp|tablespoon||0.00001478676478125|ml
koku|koku|koku|koku|0.18039|m3
cord|cord|cord||3.624556363776|m3
GRT;grt|GRT|gross register ton||2.8316846592|m3
board feet;board foot|board foot|board foot|board feet|0.002359737216|m3
TEU|TEU|twenty-foot equivalent unit||33.1|m3
""",
    "mass": """
g;gram|g|gram||0.001|oz
t;tonne;metric ton;MT|t|tonne||1000|LT ST
kt|kt|kilotonne||1000000|LT ST
Mt|Mt|megatonne||1000000000|LT ST
Gt|Gt|gigatonne||1000000000000|LT ST
q|q|quintal||100|lb
lb;lbs;pound|lb|pound||0.45359237|kg
oz;ounce|oz|ounce||0.028349523125|g
st;stone|st|stone|stone|6.35029318|lb kg
LT;long ton;LTon;lt;longton|long ton|long ton||1016.0469088|t ST
ST;short ton;STon;tn;shortton;ton|short ton|short ton||907.18474|LT t
cwt;long cwt|cwt|hundredweight|hundredweight|50.80234544|lb kg
scwt;short cwt;shcwt|cwt|hundredweight|hundredweight|45.359237|lb kg
ozt;oz t;troy ounce;troy oz|ozt|troy ounce||0.0311034768|oz g
ozt/oz|ozt|troy ounce||0.0311034768|g
lbt;troy pound|troy lb|troy pound||0.3732417216|lb kg
dwt;pennyweight|dwt|pennyweight||0.00155517384|oz g
gr;grain|gr|grain||0.00006479891|g
carat;ct|carat|carat||0.0002|g
Da;u;dalton|Da|dalton||1.66053906660e-27|g
dram;drachm|dr|dram||0.0017718451953125|g
slug|slug|slug||14.593902937|kg
viss|viss|viss|viss|1.632932532|kg
kan|kan|kan|kan|3.75|kg
kin|kin|kin|kin|0.6|kg
pood|pood|pood||16.3804964|kg
Earth mass;M_earth|M⊕|Earth mass|Earth masses|5.9722e24|kg
solar mass;M_solar|M☉|solar mass|solar masses|1.98847e30|kg
""",
    "speed": """
m/s;mps|m/s|metre per second|metres per second|1|ft/s
km/h;kph;kmh;km/hr|km/h|kilometre per hour|kilometres per hour|0.2777777777777777778|mph
km/s|km/s|kilometre per second|kilometres per second|1000|mi/s
m/min|m/min|metre per minute|metres per minute|0.01666666666666666667|ft/min
mph;mi/h|mph|mile per hour|miles per hour|0.44704|km/h
ft/s;fps|ft/s|foot per second|feet per second|0.3048|m/s
ft/min|ft/min|foot per minute|feet per minute|0.00508|m/s
mi/s|mi/s|mile per second|miles per second|1609.344|km/s
in/s|in/s|inch per second|inches per second|0.0254|mm/s
mm/s|mm/s|millimetre per second|millimetres per second|0.001|in/s
cm/s|cm/s|centimetre per second|centimetres per second|0.01|in/s
kn;knot;knots|kn|knot||0.5144444444444444444|km/h mph
c;speed of light|c|times the speed of light|times the speed of light|299792458|km/s
cm/yr;cm/y|cm/year|centimetre per year|centimetres per year|3.168808781402895e-10|in/yr
in/yr;in/y|in/year|inch per year|inches per year|8.048774304763354e-10|cm/yr
mm/yr;mm/y|mm/year|millimetre per year|millimetres per year|3.168808781402895e-11|in/yr
Mach|Mach|Mach|Mach|340.29|km/h
furlong per fortnight|furlong per fortnight|furlong per fortnight|furlongs per fortnight|0.00016630952380952|m/s
""",  # noqa: E501
    "pressure": """
Pa|Pa|pascal||1|psi
bar|bar|bar||100000|kPa
mbar;mb|mbar|millibar||100|hPa
dbar|dbar|decibar||10000|psi
kbar|kbar|kilobar||100000000|psi
atm|atm|standard atmosphere||101325|kPa
at|at|technical atmosphere||98066.5|kPa
psi;lbf/in2|psi|pound per square inch|pounds per square inch|6894.757293168361|kPa
ksi|ksi|kilopound per square inch|kilopounds per square inch|6894757.293168361|MPa
psf;lbf/ft2|psf|pound per square foot|pounds per square foot|47.88025898033584|kPa
Torr|Torr|torr|torr|133.3223684210526|kPa
mmHg|mmHg|millimetre of mercury|millimetres of mercury|133.322387415|kPa
inHg|inHg|inch of mercury|inches of mercury|3386.388640341|kPa
kg/cm2;kgf/cm2;kp/cm2|kg/cm²|kilogram per square centimetre|kilograms per square centimetre|98066.5|psi
""",  # noqa: E501
    "energy": """
J;joule|J|joule||1|cal
cal;calorie|cal|calorie||4.184|J
kcal|kcal|kilocalorie||4184|kJ
Cal;foodcal|Cal|calorie||4184|kJ
Wh;W.h|Wh|watt-hour||3600|kJ
kWh;kW.h;kW·h;kW-h|kWh|kilowatt-hour||3600000|MJ
MWh;MW.h|MWh|megawatt-hour||3600000000|GJ
GWh;GW.h|GWh|gigawatt-hour||3600000000000|TJ
TWh;TW.h|TWh|terawatt-hour||3600000000000000|PJ
BTU;Btu;btu|Btu|British thermal unit||1055.05585262|kJ
therm|therm|therm||105505585.262|MJ
eV|eV|electronvolt||1.602176634e-19|J
erg|erg|erg||1e-7|μJ
ftlbf;ft.lbf;ft·lbf;ft-lbf;ft.lb-f|ft⋅lbf|foot-pound force|foot-pounds force|1.3558179483314004|J
tTNT;t(TNT);tonTNT|t(TNT)|tonne of TNT|tonnes of TNT|4184000000|GJ
ktTNT;kt(TNT);kilotonTNT|kt(TNT)|kilotonne of TNT|kilotonnes of TNT|4184000000000|TJ
MtTNT;Mt(TNT);megatonTNT|Mt(TNT)|megatonne of TNT|megatonnes of TNT|4184000000000000|PJ
quad|quad|quadrillion British thermal units||1.05505585262e18|EJ
toe|toe|tonne of oil equivalent|tonnes of oil equivalent|41868000000|GJ
BOE|BOE|barrel of oil equivalent|barrels of oil equivalent|6120000000|GJ
""",
    "power": """
W;watt|W|watt||1|hp
hp;bhp;ihp;shp;whp|hp|horsepower|horsepower|745.6998715822702|kW
PS;metric hp;metric horsepower;cv|PS|metric horsepower|metric horsepower|735.49875|kW
BTU/h;Btu/h|Btu/h|British thermal unit per hour|British thermal units per hour|0.2930710701722222|W
MWe|MW(e)|megawatt electric|megawatts electric|1000000|MW
ton of refrigeration|ton|ton of refrigeration|tons of refrigeration|3516.8528420667|kW
""",
    "force": """
N;newton|N|newton||1|lbf
lbf;lb-f;lb(f)|lbf|pound-force|pounds-force|4.4482216152605|N
kgf;kg-f;kp|kgf|kilogram-force|kilograms-force|9.80665|N lbf
gf|gf|gram-force|grams-force|0.00980665|mN
ozf|ozf|ounce-force|ounces-force|0.27801385095378125|mN
dyn;dyne|dyn|dyne||0.00001|gr-f
tf;t-f|tf|tonne-force|tonnes-force|9806.65|kN
LTf;LT-f|LTf|long ton-force|long tons-force|9964.01641818352|kN
STf;ST-f|STf|short ton-force|short tons-force|8896.443230521|kN
""",
    "torque": """
Nm;N.m;N·m;N-m;newton-metre|N⋅m|newton-metre||1|lbft
kNm;kN.m;kN·m|kN⋅m|kilonewton-metre||1000|lbft
lbft;lb.ft;lb-ft;lb·ft;lbfft;lbf.ft;ftlb;ft.lb;ft-lb;ft·lb;ft.lb-f|lb⋅ft|pound-foot|pound-feet|1.3558179483314004|Nm
lbin;lb.in;lb-in;in.lb;inlb;in-lb|lb⋅in|pound-inch|pound-inches|0.1129848290276167|Nm
kgm;kg.m;kgf.m;kg·m;kgf·m;kgfm|kg⋅m|kilogram metre||9.80665|Nm lbft
""",
    "time": """
s;sec;second|s|second||1|min
min;minute|min|minute||60|s
h;hr;hour;hours|h|hour||3600|min
d;day;days|d|day||86400|h
week;wk;weeks|week|week||604800|d
fortnight|fortnight|fortnight||1209600|d
month;months|month|month||2629746|d
year;yr;years;y;a|year|year||31557600|d
decade|decade|decade||315576000|year
century;centuries|century|century|centuries|3155760000|year
millennium|millennium|millennium|millennia|31557600000|year
""",
    "temperature change": """
C-change;°C-change;K-change|°C|degree Celsius change|degrees Celsius change|1|F-change
F-change;°F-change|°F|degree Fahrenheit change|degrees Fahrenheit change|0.5555555555555556|C-change
""",
    "population": """
PD/km2;/km2;PD/sqkm;/sqkm|/km²|inhabitant per square kilometre|inhabitants per square kilometre|0.000001|PD/sqmi
PD/sqmi;/sqmi;PD/mi2;/mi2|/sq mi|inhabitant per square mile|inhabitants per square mile|3.861021585424458e-7|PD/km2
PD/ha;/ha|/ha|inhabitant per hectare|inhabitants per hectare|0.0001|PD/acre
PD/acre;/acre|/acre|inhabitant per acre|inhabitants per acre|0.0002471053814671653|PD/ha
""",  # noqa: E501
    "angle": """
deg;°;degree|°|degree||1|rad
rad|rad|radian||57.29577951308232|deg
arcmin|′|arcminute||0.016666666666666666|deg
arcsec|″|arcsecond||0.0002777777777777778|deg
""",
    "frequency": "Hz;hertz|Hz|hertz|hertz|1|m",
    "density": """
kg/m3|kg/m³|kilogram per cubic metre|kilograms per cubic metre|1|lb/cuyd
g/cm3;g/cc;g/mL;g/ml|g/cm³|gram per cubic centimetre|grams per cubic centimetre|1000|oz/cuin
kg/L;kg/l|kg/L|kilogram per litre|kilograms per litre|1000|lb/USgal
g/L;g/l|g/L|gram per litre|grams per litre|1|lb/cuin
lb/ft3;lb/cuft|lb/cu ft|pound per cubic foot|pounds per cubic foot|16.018463373960142|kg/m3
lb/cuyd;lb/yd3|lb/cu yd|pound per cubic yard|pounds per cubic yard|0.5932764212577830|kg/m3
lb/cuin;lb/in3|lb/cu in|pound per cubic inch|pounds per cubic inch|27679.904710203125|g/cm3
oz/cuin;oz/in3|oz/cu in|ounce per cubic inch|ounces per cubic inch|1729.9940443876953|g/cm3
lb/USgal;lb/gal|lb/US gal|pound per US gallon|pounds per US gallon|119.82642731689663|kg/L
""",
    "flow": """
m3/s;cumec|m³/s|cubic metre per second|cubic metres per second|1|cuft/s
cuft/s;ft3/s;cu ft/s;cfs|cu ft/s|cubic foot per second|cubic feet per second|0.028316846592|m3/s
cuft/min;ft3/min;cfm|cu ft/min|cubic foot per minute|cubic feet per minute|0.0004719474432|m3/min
m3/min|m³/min|cubic metre per minute|cubic metres per minute|0.016666666666666666|cuft/min
m3/h;m3/hr|m³/h|cubic metre per hour|cubic metres per hour|0.0002777777777777778|cuft/h
m3/d;m3/day|m³/d|cubic metre per day|cubic metres per day|0.000011574074074074073|cuft/d
L/s;l/s|L/s|litre per second|litres per second|0.001|cuft/s
L/min;l/min|L/min|litre per minute|litres per minute|0.000016666666666666667|cuft/min
USgal/min;gpm|US gal/min|US gallon per minute|US gallons per minute|0.0000630901964|L/min
USgal/d;USgal/day|US gal/d|US gallon per day|US gallons per day|4.381263638888889e-8|L/d
impgal/d|imp gal/d|imperial gallon per day|imperial gallons per day|5.261678240740741e-8|m3/d
bbl/d;bbl/day;oilbbl/d|bbl/d|barrel per day|barrels per day|0.0000018401307283333|m3/d
""",
    "fuel": """
km/L;km/l|km/L|kilometre per litre|kilometres per litre|1|mpgimp mpgus
mpgus;mpgUS;mpg-US;mpgu.s.;mpgU.S.;mpg|mpg‑US|mile per US gallon|miles per US gallon|0.42514370743027|L/100km mpgimp
mpgimp;mpg-imp|mpg‑imp|mile per imperial gallon|miles per imperial gallon|0.35400618997464|L/100km mpgus
L/100km;l/100km;L/100 km;L/100|L/100 km|litre per 100 kilometres|litres per 100 kilometres|100|mpgimp mpgus
L/km;l/km|L/km|litre per kilometre|litres per kilometre|1|mpgimp mpgus
""",  # noqa: E501
}
