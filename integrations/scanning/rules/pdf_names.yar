// A PDF whose names are written without escapes (`/J#61vaScript`), streams included: a cross-reference may point into
// the middle of one. So what is looked for is long enough not to occur in noise.

rule pdf_javascript : refused
{
    // `application/javascript` in a text is none; `/S/JavaScript` is one.
    strings:
        $name = /(\/S|[^A-Za-z0-9])\s{0,9}\/JavaScript[^A-Za-z0-9]/
        $rendition = /\/S\s{0,9}\/Rendition[^A-Za-z0-9]/
    condition:
        any of them
}

rule pdf_launch : refused
{
    strings:
        $name = /(\/S|[^A-Za-z0-9])\s{0,9}\/Launch[^A-Za-z0-9]/
    condition:
        $name
}

rule pdf_embedded_file : refused
{
    strings:
        $file = /\/EmbeddedFiles?[^A-Za-z0-9]/
        $annotation = "/FileAttachment"
        $media = /\/RichMedia(Content|Settings|[^A-Za-z0-9])/
    condition:
        any of them
}
