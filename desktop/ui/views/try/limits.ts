// Bounds of the view "Try it".

/** Texts that are compared with each other: a matrix of more can't be read. */
export const TEXTS_MAX = 24;

/** Pairs that are listed under the matrix. */
export const PAIRS_SHOWN = 5;

/** Bytes of tensors in one request: as base64 they fill the body that a node takes (16 MiB). */
export const REQUEST_BYTES_MAX = 12 * 2 ** 20 - 65_536;

/** Bytes of a .npy file that is read, its head included: more could not be sent, and is not kept. */
export const FILE_BYTES_MAX = 12 * 2 ** 20;

/** Elements that an input is filled with; larger ones come from files. */
export const FILL_ELEMENTS_MAX = 4_194_304;

/** Values of an output that are shown. */
export const VALUES_SHOWN = 16;

/** Largest elements of an output's last row. */
export const TOP_SHOWN = 5;

/** Elements of an input that stand in the code to copy; larger ones are left to the reader. */
export const SNIPPET_ELEMENTS_MAX = 64;

/** Inputs that are shown at first: generators have one for each layer's keys and values. */
export const INPUTS_SHOWN = 6;
