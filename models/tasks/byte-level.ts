// GPT-2's byte-level alphabet: every byte as one printable character, so that a vocabulary of text can hold any bytes.
// The detokenizer and the lower bound of a text's tokens read vocabularies with it.
// Source: openai/gpt-2, src/encoder.py, bytes_to_unicode().

/** Character code → byte; −1 for a character that stands for none. The alphabet ends at U+0143. */
const BYTE_OF_CODE = ((): Int16Array => {
  const table = new Int16Array(0x144).fill(-1);
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    table[printable ? byte : next++] = byte;
  }
  return table;
})();

/** The byte that a character of the alphabet stands for; undefined for any other. */
export function byteOfCharacter(code: number): number | undefined {
  const byte = code < BYTE_OF_CODE.length ? (BYTE_OF_CODE[code] as number) : -1;
  return byte < 0 ? undefined : byte;
}

/** Appends the bytes of a vocabulary's token. A character outside of the alphabet gives its own UTF-8. */
export function appendTokenBytes(token: string, bytes: number[]): void {
  for (const character of token) {
    const byte = byteOfCharacter(character.codePointAt(0) ?? 0);
    if (byte === undefined) bytes.push(...Buffer.from(character, 'utf8'));
    else bytes.push(byte);
  }
}
