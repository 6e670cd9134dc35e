// An answer as Markdown, block by block: while it grows only its last block is rendered again.
import { type ComponentProps, isValidElement, memo, type ReactNode, useMemo } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import { classes } from '../../components/class-names.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { text } from '../../text/en.ts';
import { CODE_LENGTH_MAX } from './limits.ts';
import { blocksOf, openCodeOf, piecesOf } from './markdown-blocks.ts';
import { COLOURED, PLAIN, SAFE_COMPONENTS, safeMarkdown } from './markdown-options.ts';
import './highlight.css';

export function Markdown({ source, growing }: { readonly source: string; readonly growing: boolean }): ReactNode {
  const blocks = useMemo(() => blocksOf(safeMarkdown(source)), [source]);
  return (
    <div className="flex min-w-0 flex-col gap-3 text-[0.9375rem] leading-relaxed">
      {blocks.map((block, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: text only grows at its end, so that a block keeps its place
        <Block key={at} source={block} growing={growing && at === blocks.length - 1} />
      ))}
    </div>
  );
}

const Block = memo(function Block({ source, growing }: { readonly source: string; readonly growing: boolean }) {
  // Code that is still being written is not read again and again: it is coloured when it is whole.
  const open = growing ? openCodeOf(source) : undefined;
  if (open !== undefined) {
    return (
      <Code language={open.language} source={open.code}>
        <code>
          {piecesOf(open.code, PIECE_LINES).map((piece, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: code only grows at its end, so that a piece keeps its place
            <Piece key={at} text={piece} />
          ))}
        </code>
      </Code>
    );
  }
  return (
    <ReactMarkdown {...(source.length <= CODE_LENGTH_MAX ? COLOURED : PLAIN)} components={COMPONENTS}>
      {source}
    </ReactMarkdown>
  );
});

/** Lines that are laid out anew with each bit of code that comes. */
const PIECE_LINES = 50;

/** A box of its own: what has come before is laid out once. */
const Piece = memo(function Piece({ text }: { readonly text: string }) {
  return <span className="block">{text}</span>;
});

const COMPONENTS: Components = {
  ...SAFE_COMPONENTS,
  p: ({ children }) => <p className="break-words">{children}</p>,
  h1: ({ children }) => <h3 className="mt-2 font-semibold text-lg tracking-tight">{children}</h3>,
  h2: ({ children }) => <h3 className="mt-2 font-semibold text-base">{children}</h3>,
  h3: ({ children }) => <h4 className="mt-1 font-semibold">{children}</h4>,
  h4: ({ children }) => <h5 className="mt-1 font-semibold text-muted">{children}</h5>,
  h5: ({ children }) => <h6 className="font-semibold text-muted">{children}</h6>,
  h6: ({ children }) => <h6 className="font-semibold text-muted">{children}</h6>,
  ul: ({ children, className }) => (
    <ul
      className={classes(
        'flex flex-col gap-1.5 marker:text-faint',
        className === 'contains-task-list' ? 'list-none' : 'list-disc pl-5',
      )}
    >
      {children}
    </ul>
  ),
  ol: ({ children, start }) => (
    <ol start={start} className="flex list-decimal flex-col gap-1.5 pl-6 marker:text-faint marker:tabular">
      {children}
    </ol>
  ),
  li: ({ children }) => (
    <li className="min-w-0 break-words pl-1 [&>ol]:mt-1.5 [&>p+p]:mt-2 [&>ul]:mt-1.5">{children}</li>
  ),
  blockquote: ({ children }) => (
    <blockquote className="flex flex-col gap-2 border-line-strong border-l-2 pl-3 text-muted">{children}</blockquote>
  ),
  hr: () => <hr className="border-line" />,
  table: ({ children }) => (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: wide tables are scrolled by keyboard, too
    <section aria-label={text.chat.table} tabIndex={0} className="overflow-x-auto rounded-md border border-line">
      <table className="w-full border-collapse text-left text-sm">{children}</table>
    </section>
  ),
  th: ({ children, style }) => (
    <th style={style} className="border-line border-b bg-sunken px-3 py-1.5 font-semibold">
      {children}
    </th>
  ),
  td: ({ children, style }) => (
    <td style={style} className="border-line border-t px-3 py-1.5 align-top">
      {children}
    </td>
  ),
  input: ({ checked }) => (
    <input
      type="checkbox"
      checked={checked === true}
      disabled
      aria-label={text.chat.task}
      className="mr-1 accent-accent"
    />
  ),
  code: ({ children, className }) => (
    <code
      className={classes(
        'font-mono',
        className ?? 'rounded-sm bg-sunken px-1 py-0.5 text-[0.875em] [pre_&]:bg-transparent [pre_&]:p-0',
      )}
    >
      {children}
    </code>
  ),
  pre: (props) => <CodeOf {...props} />,
};

/** What Markdown has made of a block of code. */
function CodeOf({ children }: ComponentProps<'pre'>): ReactNode {
  const inner = isValidElement<{ className?: string; children?: ReactNode }>(children) ? children.props : {};
  const [, language = ''] = /(?:^|\s)language-(\S+)/.exec(inner.className ?? '') ?? [];
  return (
    <Code language={language} source={plain(inner.children)}>
      {children}
    </Code>
  );
}

/** A block of code: its language, and a button that copies it. */
function Code({
  language,
  source,
  children,
}: {
  readonly language: string;
  readonly source: string;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <div className="min-w-0 rounded-md border border-line bg-sunken">
      <div className="flex h-8 items-center border-line border-b pr-0.5 pl-3">
        <span className="truncate font-mono text-faint text-xs">{language === '' ? text.chat.code : language}</span>
        <span className="ml-auto">
          <CopyButton value={source.replace(/\n$/, '')} label={text.chat.copyCode} />
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines are scrolled by keyboard, too */}
      <section aria-label={text.common.code} tabIndex={0} className="overflow-x-auto px-3 py-2.5">
        <pre className="font-mono text-[0.8125rem] leading-5">{children}</pre>
      </section>
    </div>
  );
}

/** The text of what was coloured. */
function plain(node: ReactNode): string {
  if (typeof node === 'string' || typeof node === 'number') return String(node);
  if (Array.isArray(node)) return node.map(plain).join('');
  return isValidElement<{ children?: ReactNode }>(node) ? plain(node.props.children) : '';
}
