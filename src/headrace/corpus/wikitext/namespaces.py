"""What the prefix of a link means on a wiki: file, category, language, another project.

The names come from the dump's siteinfo, from MediaWiki's English names, and from a table of the
names and aliases of large wikis, for dumps without siteinfo. Sources: MediaWiki's documentation
(Help:Namespaces, Help:Interwiki linking), the language list of Special:SiteMatrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from headrace.corpus.site import Site

_CANONICAL_FILE = ("file", "image")
_CANONICAL_CATEGORY = ("category",)
# language: file names and aliases; categories
_LOCAL: Mapping[str, tuple[str, str]] = {
    "af": ("lêer beeld", "kategorie"),
    "ar": ("ملف صورة", "تصنيف"),
    "arz": ("ملف صورة", "تصنيف"),
    "az": ("fayl şəkil", "kateqoriya"),
    "be": ("файл выява", "катэгорыя"),
    "bg": ("файл картинка", "категория"),
    "bn": ("চিত্র", "বিষয়শ্রেণী"),
    "bs": ("datoteka slika", "kategorija"),
    "ca": ("fitxer imatge", "categoria"),
    "ceb": ("payl imahen", "kategoriya"),
    "cs": ("soubor", "kategorie"),
    "cy": ("delwedd", "categori"),
    "da": ("fil billede", "kategori"),
    "de": ("datei bild", "kategorie"),
    "el": ("αρχείο εικόνα", "κατηγορία"),
    "en": ("file image", "category"),
    "eo": ("dosiero", "kategorio"),
    "es": ("archivo imagen", "categoría categoria"),
    "et": ("pilt fail", "kategooria"),
    "eu": ("fitxategi irudi", "kategoria"),
    "fa": ("پرونده تصویر", "رده"),
    "fi": ("tiedosto kuva", "luokka"),
    "fr": ("fichier image", "catégorie categorie"),
    "ga": ("íomhá", "catagóir"),
    "gl": ("ficheiro imaxe", "categoría"),
    "he": ("קובץ תמונה", "קטגוריה"),
    "hi": ("चित्र", "श्रेणी"),
    "hr": ("datoteka slika", "kategorija"),
    "hu": ("fájl kép", "kategória"),
    "hy": ("պատկեր", "կատեգորիա"),
    "id": ("berkas gambar", "kategori"),
    "is": ("mynd", "flokkur"),
    "it": ("file immagine", "categoria"),
    "ja": ("ファイル 画像", "カテゴリ"),
    "ka": ("ფაილი სურათი", "კატეგორია"),
    "kk": ("сурет", "санат"),
    "ko": ("파일 그림", "분류"),
    "la": ("fasciculus imago", "categoria"),
    "lt": ("vaizdas", "kategorija"),
    "lv": ("attēls", "kategorija"),
    "mk": ("податотека слика", "категорија"),
    "ml": ("പ്രമാണം ചിത്രം", "വർഗ്ഗം"),
    "mr": ("चित्र", "वर्ग"),
    "ms": ("fail imej", "kategori"),
    "nl": ("bestand afbeelding", "categorie"),
    "nn": ("fil", "kategori"),
    "no": ("fil bilde", "kategori"),
    "pl": ("plik grafika", "kategoria"),
    "pt": ("ficheiro arquivo imagem", "categoria"),
    "ro": ("fișier fişier imagine", "categorie"),
    "ru": ("файл изображение", "категория"),
    "sh": ("datoteka slika", "kategorija"),
    "simple": ("file image", "category"),
    "sk": ("súbor obrázok", "kategória"),
    "sl": ("slika datoteka", "kategorija"),
    "sq": ("skeda figura", "kategoria"),
    "sr": ("датотека слика slika", "категорија kategorija"),
    "sv": ("fil bild", "kategori"),
    "ta": ("படிமம்", "பகுப்பு"),
    "te": ("దస్త్రం బొమ్మ", "వర్గం"),
    "th": ("ไฟล์ ภาพ", "หมวดหมู่"),
    "tr": ("dosya resim", "kategori"),
    "uk": ("файл зображення", "категорія"),
    "ur": ("فائل ملف تصویر", "زمرہ"),
    "uz": ("fayl tasvir", "turkum"),
    "vi": ("tập_tin hình", "thể_loại"),
    "war": ("paypay fayl", "kaarangay"),
    "zh": ("文件 档案 檔案 图像 圖像", "分类 分類"),
    "zh-yue": ("file 文件 檔 檔案 圖", "category 分類 分类 類 类"),
}
_LANGUAGE_CODES = """
    aa ab ace ady af als alt am ami an ang ann anp ar arc ary arz as ast atj av avk awa ay az
    azb ba ban bar bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy
    br bs btm bug bxr ca cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs csb cu cv cy da dag
    de dga din diq dsb dtp dty dv dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon
    fr frp frr fur fy ga gag gan gcr gd gl glk gn gom gor got gpe gsw gu guc gur guw gv ha hak
    haw he hi hif ho hr hsb ht hu hy hyw hz ia iba id ie ig igl ii ik ilo inh io is it iu ja jam
    jbo jv ka kaa kab kaj kbd kbp kcg kg kge ki kj kk kl km kn knc ko koi kr krc ks ksh ku kus
    kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv lzh mad mai map-bms mdf
    mg mh mhr mi min mk ml mn mni mnw mos mr mrj ms mt mus mwl my myv mzn na nah nan nap nds
    nds-nl ne new ng nia nl nn no nov nqo nr nrm nso nv ny oc olo om or os pa pag pam pap pcd
    pcm pdc pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup roa-tara rsk ru rue rup
    rw sa sah sat sc scn sco sd se sg sgs sh shi shn shy si simple sk skr sl sm smn sn so sq sr
    srn ss st stq su sv sw szl szy ta tay tcy tdd te tet tg th ti tig tk tl tlh tly tn to tok
    tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo vro wa war wo wuu xal xh
    xmf yi yo yue za zea zgh zh zh-classical zh-min-nan zh-yue zu
"""
_LANGUAGES = frozenset(_LANGUAGE_CODES.split())
_PROJECT_PREFIXES = """
    b betawikiversity bugzilla c commons d doi foundation gerrit google imdbname imdbtitle
    incubator irc m mail mediawiki mediawikiwiki meta metawikimedia metawikipedia mw n outreach
    phab phabricator q quality s species strategy svn testwiki toollabs toolforge v voy w
    wikibooks wikicities wikia wikidata wikilivres wikimedia wikinews wikiquote wikisource
    wikispecies wikiversity wikivoyage wikt wiktionary wmf
"""
_PROJECTS = frozenset(_PROJECT_PREFIXES.split())


class LinkKind(Enum):
    """What becomes of a link."""

    FILE = "file"
    CATEGORY = "category"
    LANGUAGE = "language"
    PROJECT = "project"
    PAGE = "page"


class Prefixes:
    """The meaning of prefixes on one wiki.

    Args:
        site: the wiki. Its own names win over the tables; where its language is in no table, the
            names of all languages count.
    """

    def __init__(self, site: Site) -> None:
        kinds: dict[str, LinkKind] = {}
        kinds |= dict.fromkeys(_PROJECTS, LinkKind.PROJECT)
        kinds |= dict.fromkeys(_LANGUAGES - {site.lang.lower()}, LinkKind.LANGUAGE)
        if site.lang.lower() in _LANGUAGES:
            kinds[site.lang.lower()] = LinkKind.PROJECT
        own = _LOCAL.get(site.lang.lower())
        for files, categories in [own] if own else _LOCAL.values():
            kinds |= dict.fromkeys(map(_normalise, files.split()), LinkKind.FILE)
            kinds |= dict.fromkeys(map(_normalise, categories.split()), LinkKind.CATEGORY)
        kinds |= dict.fromkeys(_CANONICAL_FILE, LinkKind.FILE)
        kinds |= dict.fromkeys(_CANONICAL_CATEGORY, LinkKind.CATEGORY)
        for number, name in site.namespaces.items():
            if name:
                kinds[_normalise(name)] = _NAMESPACE_KINDS.get(number, LinkKind.PAGE)
        self._kinds = kinds

    def kind(self, prefix: str) -> LinkKind:
        """What a link with this prefix (without its colon) is; PAGE where it means nothing."""
        return self._kinds.get(_normalise(prefix), LinkKind.PAGE)


_NAMESPACE_KINDS = {"6": LinkKind.FILE, "14": LinkKind.CATEGORY}


def _normalise(prefix: str) -> str:
    return " ".join(prefix.replace("_", " ").split()).lower()
