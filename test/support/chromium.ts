// The browser of page tests, benchmarks and screen shots.

/** Debian's, or the one that is named. */
export const CHROMIUM = process.env.WEFT_CHROMIUM ?? '/usr/bin/chromium';
