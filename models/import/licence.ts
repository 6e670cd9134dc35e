// Which licence a model is under: as somebody says, else by the text of its licence file, else by its model card.
import { open } from 'node:fs/promises';
import type { Manifest } from '../manifest.ts';
import { plainFile, refuse } from './files.ts';
import type { Layout } from './layout.ts';

/** What is said of a licence that could not be told. */
export const UNKNOWN_LICENCE = 'LicenseRef-unknown';

/** Licences by what their first lines say. */
const TEXTS: readonly (readonly [RegExp, string])[] = [
  [/Apache License\s+Version 2\.0/, 'Apache-2.0'],
  [/MIT License/, 'MIT'],
  [/Permission is hereby granted, free of charge, to any person/, 'MIT'],
  [/BSD 3-Clause|Neither the name of/, 'BSD-3-Clause'],
  [/BSD 2-Clause/, 'BSD-2-Clause'],
  [/Mozilla Public License,? (Version|v\.?) ?2\.0/i, 'MPL-2.0'],
  [/GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3/, 'AGPL-3.0-only'],
  [/GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3/, 'LGPL-3.0-only'],
  [/GNU GENERAL PUBLIC LICENSE\s+Version 3/, 'GPL-3.0-only'],
  [/GNU GENERAL PUBLIC LICENSE\s+Version 2/, 'GPL-2.0-only'],
  [/CC0 1\.0 Universal/, 'CC0-1.0'],
  [/Attribution 4\.0 International/, 'CC-BY-4.0'],
  [/Attribution-ShareAlike 4\.0 International/, 'CC-BY-SA-4.0'],
  [/Attribution-NonCommercial 4\.0 International/, 'CC-BY-NC-4.0'],
];

/** SPDX identifiers of those of the hub's names that are not one in small letters. */
const SPDX: readonly string[] = [
  ...TEXTS.map(([, spdx]) => spdx),
  ...['ISC', 'Unlicense', 'WTFPL', 'Zlib', 'Artistic-2.0', 'BSL-1.0', 'ECL-2.0', 'EPL-2.0', 'EUPL-1.1', 'AFL-3.0'],
  ...['CC-BY-2.0', 'CC-BY-2.5', 'CC-BY-3.0', 'CC-BY-SA-3.0', 'CC-BY-NC-SA-4.0', 'CC-BY-NC-ND-4.0', 'CC-BY-ND-4.0'],
];
const HUB_NAMES: ReadonlyMap<string, string> = new Map([
  ...SPDX.map((spdx) => [spdx.toLowerCase(), spdx] as const),
  ['gpl-3.0', 'GPL-3.0-only'],
  ['gpl-2.0', 'GPL-2.0-only'],
  ['agpl-3.0', 'AGPL-3.0-only'],
  ['lgpl-3.0', 'LGPL-3.0-only'],
  ['cc', 'LicenseRef-cc'],
]);

/** How much of a file is looked at. */
const HEAD_BYTES = 16 << 10;

/**
 * @param said SPDX identifier, by whoever imports the model
 * @param doubt told why a licence could not be told
 */
export async function licenceOf(
  layout: Layout,
  said: string | undefined,
  linksRefused: boolean,
  doubt: (error: Error) => void,
): Promise<Manifest['licence']> {
  const { licence: file, card } = layout;
  const head = async (path: string): Promise<string> => {
    const { from } = await plainFile(layout.root, path, linksRefused);
    await using handle = await open(from);
    const { bytesRead, buffer } = await handle.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return Buffer.from(buffer.buffer, 0, bytesRead).toString();
  };
  const beside = file === undefined ? {} : { file };
  if (said !== undefined) return { spdx: said, ...beside };
  const text = file === undefined ? '' : await head(file);
  const found = TEXTS.find(([pattern]) => pattern.test(text.slice(0, 2_000)))?.[1];
  const spdx = found ?? (card === undefined ? undefined : licenceOfCard(await head(card)));
  if (spdx !== undefined) return { spdx, ...beside };
  doubt(
    file === undefined
      ? refuse(
          'The folder holds no LICENSE, and no model card that names one.',
          'Put the licence of the model beside it.',
        )
      : refuse('The licence is none that is known here by its text.', 'Name its SPDX identifier with --licence.'),
  );
  return { spdx: UNKNOWN_LICENCE, ...beside };
}

/**
 * SPDX identifier of what a model card's front matter names; undefined when it names none.
 * @example licenceOfCard('---\nlicense: apache-2.0\n---\n') // 'Apache-2.0'
 */
export function licenceOfCard(card: string): string | undefined {
  const front = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---(\r?\n|$)/.exec(card)?.[1];
  if (front === undefined) return undefined;
  const named = (key: string): string | undefined =>
    new RegExp(`^${key}:[ \\t]*(?:\\r?\\n[ \\t]*- |\\[[ \\t]*)?["']?([\\w.+-]+)`, 'm').exec(front)?.[1]?.toLowerCase();
  const licence = named('license');
  if (licence === undefined) return undefined;
  const known = HUB_NAMES.get(licence);
  if (known !== undefined) return known;
  const name = licence === 'other' ? named('license_name') : licence;
  return name === undefined || name === 'unknown'
    ? undefined
    : `LicenseRef-${name.replace(/[^\w.-]/g, '-').replaceAll('_', '-')}`;
}
