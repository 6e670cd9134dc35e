// The environment of every process that loads ONNX Runtime.

/**
 * ONNX Runtime 1.30 for Linux counts its use for Microsoft: it reads a device id, keeps a database in the user's cache
 * folder, and has code that sends what it noted. A private mesh tells nobody.
 */
export const RUNTIME_ENV: Readonly<Record<string, string>> = { ORT_DISABLE_TELEMETRY: '1' };
