// Calls over a link of frames: the state machine that peers (a libp2p stream each) and runners (one socket, many calls)
// share. This is the door for the other layers; each side has its own file.
export { CallClient, type CallOptions, type OpenCall, toAbortError } from './call-client.ts';
export {
  type CallContext,
  type CallHandler,
  CallServer,
  type CallServerComponents,
  type CallServerInit,
  type Registered,
} from './call-server.ts';
export type { FrameWriter } from './frame-writer.ts';
