// A PDF as `integrations/scanning/pdf.py` lays it open: names without escapes (`/J#61vaScript`), streams included, then
// the objects of object streams, and a line for each action on opening. All patterns are too long to occur in noise.

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

rule pdf_open_action : refused
{
    // A place to open the document at is harmless, and most writers give one: an array, or the action GoTo.
    strings:
        $action = /\n%petfolio-action [^\n]{0,2000}\/S\s{0,9}\/(URI|GoToR|GoToE|SubmitForm|ImportData|Movie|Sound|Thread|Hide)/
        $lost = "\n%petfolio-action nowhere\n"
    condition:
        any of them
}

rule pdf_script_form : refused
{
    strings:
        $form = /\/XFA\s{0,9}(\[\s{0,9}\(|\d{1,9}\s{1,9}\d{1,5}\s{1,9}R)/
    condition:
        $form
}
