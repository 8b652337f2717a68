"""Stands in for wikiextractor: same arguments and output, and ills on demand.

A page whose text holds CRASH, HANG, DIE or LOSE makes it raise, sleep, kill itself, or leave the
page out. The first argument says how it shows its progress: "names" logs pages as wikiextractor
does, "silent" says nothing, "broken" never works.
"""

import json
import os
import re
import sys
import time
from pathlib import Path

mode, dump, _, out = sys.argv[1:5]
if mode == "broken":
    sys.exit("No module named anything")
(Path(out) / "AA").mkdir(parents=True)
text = Path(dump).read_text(encoding="utf-8")
with (Path(out) / "AA/wiki_00").open("w") as file:
    for page in re.findall(r"<page>.*?</page>", text, re.S):
        number = re.search(r"<id>(\d+)</id>", page)[1]
        if mode == "names":
            print(f"DEBUG: now PAGE_START pid=1 ordinal=0 id={number} title='x'", flush=True)
        body = re.search(r"<text>(.*?)</text>", page, re.S)[1]
        if "CRASH" in body:
            raise RuntimeError("cannot cope")
        if "HANG" in body:
            time.sleep(100)
        if "DIE" in body:
            os.kill(os.getpid(), 9)
        if "LOSE" in body:
            continue
        file.write(json.dumps({"id": number, "text": body.upper()}) + "\n")
        file.flush()
        if mode == "names":
            print(f"DEBUG: now PAGE_TIMING pid=1 ordinal=0 id={number} elapsed=0.00s", flush=True)
