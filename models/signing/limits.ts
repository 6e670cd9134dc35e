// Bounds of what is read of signatures. They come from anyone, so each is checked before anything is made of them.

/** Signatures of one manifest that are read: a publisher, and some members who vouch for it. Each costs 0.1 ms. */
export const SIGNATURES_MAX = 16;

/** Characters of one manifest signature. Real ones have 319 and, with the key in hex, 339. */
export const SIGNATURE_CHARS_MAX = 512;

/** How far ahead of ours the signer's clock may be: a clock that takes local time for UTC is up to 14 hours off. */
export const AHEAD_MS_MAX = 24 * 3_600_000;

/** Latest time that a date can hold, in ms since 1970: whoever prints a signature's time needn't look. */
export const TIME_MS_MAX = 8.64e15;

/** Characters of a model signing bundle. Some 200 per signed file, so this is room for 20,000 of them. */
export const BUNDLE_CHARS_MAX = 6 << 20;

/** Files that one bundle may sign; a manifest has 4,096 at most, but the signed folder may hold other variants too. */
export const RESOURCES_MAX = 16_384;

/** Objects and lists within each other: a bundle and its statement have 5. */
export const JSON_DEPTH_MAX = 16;

/** Paths that a signer leaves out; Git's own and the signature are five. */
export const IGNORED_PATHS_MAX = 1024;

/** Characters of a path, as in a manifest. */
export const PATH_CHARS_MAX = 512;

/** Public keys that a bundle is held against. */
export const KEYS_MAX = 64;

/** Paths, or keys, that a sentence names before it says how many more there are. */
export const NAMED_MAX = 3;
