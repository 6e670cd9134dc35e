// Bounds of the rewriter: a hostile graph costs it no more than these.

/** Heads of a layer, or sizes of one. The widest models have 128 of 256. */
export const HEADS_MAX = 4096;

/** Values of a constant that are looked at: shapes, axes, scales and slopes have a few. Of weights only the shape is. */
export const CONSTANT_ELEMENTS_MAX = 1024;

/** Values of one tensor that is computed to look at it: a mask of 64 new tokens for 65,536 in all. */
export const LOOK_ELEMENTS_MAX = 4 << 20;

/**
 * Values computed, and nodes looked at, for one graph: a second. A decoder of 80 wide layers in plain operators takes half
 * of it.
 */
export const LOOK_WORK_MAX = 150_000_000;

/** Nodes between a cache and the product that it goes into, side ways included: exporters write 5 to 30. */
export const FOLLOWED_NODES_MAX = 256;

/**
 * Tokens of the long sequence at which masks are looked at: windows up to this length are seen as such. Those of known
 * models have 512 to 32,768.
 */
export const LOOK_TOKENS = 64 << 10;

/** The oldest version of ONNX's own operators that is rewritten. */
export const OPSET_MIN = 13;
