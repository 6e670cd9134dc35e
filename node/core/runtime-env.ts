// The environment of every process that loads ONNX Runtime.

/**
 * ONNX Runtime 1.30 for Linux counts its use for Microsoft: it reads a device id, keeps a database in the user's cache
 * folder, and has code that sends what it noted. A private mesh tells nobody.
 */
export const RUNTIME_ENV: Readonly<Record<string, string>> = {
  ORT_DISABLE_TELEMETRY: '1',
  // CUDA counts by speed unless it is told to count as nvidia-smi does: then an index means the same device in both.
  CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
};
