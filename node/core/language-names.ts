// English names of languages, as speech models' users write and read them. Used by the coordinator and the gateway.

/** Codes of Whisper's that aren't those of ISO 639. */
const OWN_NAMES: Readonly<Record<string, string>> = { jw: 'javanese', iw: 'hebrew' };

const names = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' });

/** `de` → `german`; a code without a name as it is. */
export function languageName(code: string): string {
  return OWN_NAMES[code] ?? names.of(code)?.toLowerCase() ?? code;
}
