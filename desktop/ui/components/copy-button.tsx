// Copies a text, and says that it has.
import { Check, Copy } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { text } from '../text/en.ts';
import { Button, IconButton } from './button.tsx';

const SAID_MS = 1_800;

export interface CopyButtonProps {
  /** A function where making the text is work. */
  readonly value: string | (() => string);
  /** What is copied, such as "Copy the command". */
  readonly label?: string;
  /** With its label beside the icon. */
  readonly wordy?: boolean;
  readonly size?: 'small' | 'medium';
}

export function CopyButton({
  value,
  label = text.common.copy,
  wordy = false,
  size = 'small',
}: CopyButtonProps): ReactNode {
  const [said, setSaid] = useState<'copied' | 'failed'>();
  useEffect(() => {
    if (said === undefined) return;
    const timer = setTimeout(() => setSaid(undefined), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async (): Promise<void> => {
    setSaid((await copyText(typeof value === 'string' ? value : value())) ? 'copied' : 'failed');
  };
  const shown = said === 'copied' ? text.common.copied : said === 'failed' ? text.common.notCopied : label;
  const icon = said === 'copied' ? <Check /> : <Copy />;
  return (
    <>
      {wordy ? (
        <Button size={size} icon={icon} onClick={() => void copy()}>
          {shown}
        </Button>
      ) : (
        <IconButton size={size} icon={icon} label={shown} onClick={() => void copy()} />
      )}
      <span role="status" className="sr-only">
        {said === undefined ? '' : shown}
      </span>
    </>
  );
}

/** Pages that did not come over https or from this machine have no clipboard of their own: the old way works there. */
async function copyText(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = value;
    area.className = 'sr-only';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}
