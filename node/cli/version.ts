// This program's version. The bundler writes it into the bundle, so that no file is read for it.
import manifest from '../../package.json' with { type: 'json' };

/** Such as `0.1.0`. */
export const VERSION: string = manifest.version;
