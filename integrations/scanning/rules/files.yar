// Any file, as it was uploaded. A tag says what a match means: `infected` is a threat, `refused` a kind of file that
// nobody can vouch for. Patterns that may stand anywhere are long enough that 200 MB of noise does not match them.

private rule image
{
    strings:
        $heif = /ftyp(heic|heix|heim|heis|hevc|mif1|msf1|avif|avis)/
    condition:
        uint32be(0) & 0xFFFFFF00 == 0xFFD8FF00 or
        uint32be(0) == 0x89504E47 or
        uint32be(0) == 0x47494638 or
        (uint32be(0) == 0x52494646 and uint32be(8) == 0x57454250) or
        $heif at 4
}

private rule video
{
    strings:
        $mp4 = "ftyp"
    condition:
        uint32be(0) == 0x1A45DFA3 or ($mp4 at 4 and not image)
}

private rule pdf
{
    strings:
        $head = "%PDF-"
    condition:
        $head in (0..1024)
}

private rule zip
{
    condition:
        uint32be(0) == 0x504B0304 or uint32be(0) == 0x504B0506 or uint32be(0) == 0x504B0708
}

rule eicar : infected
{
    strings:
        $test = { 58 35 4F 21 50 25 40 41 50 5B 34 5C 50 5A 58 35 34 28 50 5E 29 37 43 43 29 37 7D 24 45 49 43 41 52 }
    condition:
        $test
}

rule executable : infected
{
    strings:
        $elf = { 7F 45 4C 46 }
        $dex = { 64 65 78 0A 30 33 ?? 00 }
        $link = { 4C 00 00 00 01 14 02 00 }
        $script = /(\xEF\xBB\xBF)?(#!|@echo )/ nocase
    condition:
        uint16be(0) == 0x4D5A or
        $elf at 0 or $dex at 0 or $link at 0 or $script at 0 or
        uint32be(0) == 0x0061736D or                                                     // WebAssembly
        uint32be(0) == 0xCAFEBABE or uint32be(0) == 0xBEBAFECA or                        // Java, fat Mach-O
        uint32be(0) & 0xFFFFFFFE == 0xFEEDFACE or uint32(0) & 0xFFFFFFFE == 0xFEEDFACE   // Mach-O
}

rule hidden_executable : infected
{
    strings:
        $dos = "This program cannot be run in DOS mode"
        $elf = { 7F 45 4C 46 (01 | 02) (01 | 02) 01 (00 | 03 | 09) 00 00 00 00 00 00 00 00 }
        $mach = { CF FA ED FE (07 | 0C) 00 00 01 }
        $dex = { 64 65 78 0A 30 33 (35 | 36 | 37 | 38 | 39) 00 }
    condition:
        any of them
}

rule markup_in_picture : infected
{
    strings:
        $script = /<script[\s>\/]/ nocase
        $html = /<html[\s>]/ nocase
        $doctype = /<!doctype\s+html/ nocase
        $frame = /<iframe\s/ nocase
        $body = /<body\s/ nocase
        $load = "onload" nocase
        $svg = /<svg\s/ nocase
        $names = "xmlns" nocase
        $javascript = "javascript:" nocase
        $hta = "<hta:application" nocase
        $php = /<\?php\s/ nocase
    condition:
        // Four of these are no noise, and to look behind each of millions would take minutes.
        (image or video) and
        (
            any of ($script, $html, $doctype, $frame, $javascript, $hta, $php) or
            #body > 3 or #svg > 3 or
            for any i in (1..#body) : ( $load in (@body[i]..@body[i] + 110) ) or
            for any i in (1..#svg) : ( any of ($names, $load) in (@svg[i]..@svg[i] + 210) )
        )
}

rule markup_before_pdf : infected
{
    strings:
        $markup = /<(script|html|body|svg|iframe|!doctype)[\s>]/ nocase
    condition:
        pdf and $markup in (0..1500) and not image and uint32be(0) != 0x25504446
}

rule script_polyglot : infected
{
    // A comment of JavaScript begins where a picture has its width, or the length of its first segment. What follows its
    // end is text: pictures 317 or 10,799 pixels wide begin like that, too.
    strings:
        $gif = /GIF8[79]a\/\*/
        $jpeg = /\xFF\xD8\xFF[\xE0-\xEF]\/\*/
        $end = /\*\/\s{0,9}[=;(][\t\r\n -~]{8}/
        $assigned = /GIF8[79]a\s?=[\t\r\n -~]{8}/
    condition:
        (($gif at 0 or $jpeg at 0) and $end) or $assigned at 0
}

rule pdf_in_picture : infected
{
    strings:
        $pdf = /%PDF-[12]\.\d/
    condition:
        (image or video) and $pdf
}

rule picture_before_pdf : infected
{
    condition:
        pdf and image
}

rule archive : refused
{
    strings:
        $gzip = { 1F 8B 08 }
        $bzip = /BZh[1-9]1AY&SY/
        $xz = { FD 37 7A 58 5A 00 }
        $seven = { 37 7A BC AF 27 1C }
        $rar = "Rar!\x1A\x07"
        $zstandard = { 28 B5 2F FD }
        $cabinet = "MSCF\x00\x00\x00\x00"
        $tar = "ustar"
        $iso = "CD001"
        $lha = /-l[hz][0-7ds]-/
        $ace = "**ACE**"
        $ar = "!<arch>\n"
    condition:
        zip or                                                                           // also JAR, APK, DOCX
        $gzip at 0 or $bzip at 0 or $xz at 0 or $seven at 0 or $rar at 0 or $zstandard at 0 or $cabinet at 0 or
        $tar at 257 or $iso at 32769 or $lha at 2 or $ace at 7 or $ar at 0
}

rule hidden_archive : infected
{
    // A ZIP is found from its end: the directory lies exactly as far before the end record as that one says. A crowd of
    // ends hides one.
    strings:
        $end = "PK\x05\x06"
        $end64 = { 50 4B 06 07 [16] 50 4B 05 06 }
        $rar = { 52 61 72 21 1A 07 (00 | 01 00) }
        $seven = { 37 7A BC AF 27 1C 00 (02 | 03 | 04) }
    condition:
        not zip and
        (
            #end > 99 or
            for any i in (1..#end) : (
                @end[i] >= uint32(@end[i] + 12) and uint32be(@end[i] - uint32(@end[i] + 12)) == 0x504B0102
            ) or
            $end64 or
            $rar in (1..filesize) or
            $seven in (1..filesize)
        )
}

rule office_document : refused
{
    strings:
        $rich_text = "{\\rt"
        $help = "ITSF"
    condition:
        (uint32be(0) == 0xD0CF11E0 and uint32be(4) == 0xA1B11AE1) or $rich_text at 0 or $help at 0
}

rule markup : refused
{
    strings:
        $text = /(\xEF\xBB\xBF)?\s{0,512}<(\?xml|!--|!doctype|html|head|body|svg|script|\?php)/ nocase
        $wide = { (FF FE 3C 00 | FE FF 00 3C) }
    condition:
        $text at 0 or $wide at 0
}
