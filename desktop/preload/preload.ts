// Runs in the sandbox before the pages do, and gives them `window.weft`: functions of fixed channels, and nothing of
// Electron's own. Bundled to one CommonJS file, as a sandboxed preload script must be.
import { contextBridge, ipcRenderer } from 'electron';
import { exposeBridge } from './expose.ts';

exposeBridge({
  expose: (name, bridge) => contextBridge.exposeInMainWorld(name, bridge),
  invoke: (channel, ...args) => ipcRenderer.invoke(channel, ...args),
  on(channel, listener) {
    // The event carries the sender: a page shall not get hold of it.
    const heard = (_event: unknown, value: unknown): void => listener(value);
    ipcRenderer.on(channel, heard);
    return () => ipcRenderer.removeListener(channel, heard);
  },
  // The main process says so at the window's start: a sandboxed script can't read the app's version by itself.
  appVersion: process.argv.find((argument) => argument.startsWith('--weft-version='))?.slice(15) ?? '',
  platform: process.platform,
  versions: process.versions,
});
