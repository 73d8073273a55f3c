// A PDF without its streams, but with the objects that were in object streams, and a line for each action on opening.

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
        $form = /\/XFA\s{0,9}[\[(0-9<]/
    condition:
        $form
}
