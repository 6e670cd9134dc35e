// Layer `disk`: whether a file of the conversations was found damaged, and set aside.
import { readdir } from 'node:fs/promises';
import { DAMAGED } from '../../memory/conversations/database.ts';
import { type Check, type Finding, ok, skipped, warning } from './check.ts';
import { QUICK_MS_MAX } from './limits.ts';

const NAME = 'conversations';

/** @param init.home the data folder */
export function conversationChecks({ home }: { readonly home: string }): readonly Check[] {
  return [
    {
      layer: 'disk',
      name: NAME,
      deadlineMs: QUICK_MS_MAX,
      overdueRemedy: 'The disk of the data folder hangs: look at it, or choose another folder (WEFT_HOME).',
      run: async () => [await setAside(home)],
    },
  ];
}

async function setAside(home: string): Promise<Finding> {
  // A folder that can't be read is told by the check of the data folder.
  const names = await readdir(home).catch((): string[] => []);
  const damaged = names.filter((name) => DAMAGED.test(name));
  const [first] = damaged;
  if (first !== undefined) {
    return warning(
      NAME,
      damaged.length === 1
        ? `${first} in ${home} was found damaged and set aside.`
        : `${damaged.length} files in ${home}, such as ${first}, were found damaged and set aside.`,
      `Save what is in it (\`sqlite3 ${first} .recover\` prints it as SQL), then delete it with those of its name; look at the disk.`,
    );
  }
  return names.includes('conversations.sqlite')
    ? ok(NAME, 'no file of them was found damaged')
    : skipped(NAME, 'There are none yet.');
}
