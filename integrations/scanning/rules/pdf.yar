// A PDF as `integrations/scanning/pdf.py` lays it open: names without escapes (`/J#61vaScript`), streams included, then
// the objects of object streams. All patterns are too long to occur in noise. Of what comes between a key and its name,
// a comment ends like a line; a name that stands somewhere else, and what happens without a click, `pdf_actions.py` sees.

rule pdf_javascript : refused
{
    // `application/javascript` in a text is none; `/S/JavaScript` is one. A model of three dimensions may bring its own.
    strings:
        $name = /(\/S|[^A-Za-z0-9])\/JavaScript[^A-Za-z0-9]/
        $rendition = /\/S(\s{0,9}|%[^\r\n]{0,999}[\r\n])\/Rendition[^A-Za-z0-9]/
        $model = /\/OnInstantiate[^A-Za-z0-9]/
    condition:
        any of them
}

rule pdf_launch : refused
{
    strings:
        $name = /(\/S|[^A-Za-z0-9])\/Launch[^A-Za-z0-9]/
    condition:
        $name
}

rule pdf_reaches_out : refused
{
    // Other files, which Windows fetches with the person's credentials, and forms that are sent somewhere: click or not.
    strings:
        $name = /(\/S|[^A-Za-z0-9])\/(GoToR|GoToE|SubmitForm|ImportData)[^A-Za-z0-9]/
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
