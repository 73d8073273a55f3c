// Unpacks the package's Chromium into TMPDIR.
import chromium from "@sparticuz/chromium";

await chromium.executablePath();
