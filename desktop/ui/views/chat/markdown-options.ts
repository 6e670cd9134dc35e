// How what a model has written becomes a page: Markdown with tables and task lists, and nothing that could act. HTML stays text, links
// lead to the web or to mail and open apart, pictures are links, and characters that turn the writing around become visible.
import { createElement, type ReactNode } from 'react';
import type { Components, Options } from 'react-markdown';
import rehypeHighlight from 'rehype-highlight';
import remarkGfm from 'remark-gfm';
import { safeText } from '../../text/format.ts';

const LINK_CLASS = 'break-words text-accent underline decoration-1 underline-offset-2 hover:text-accent-hover';

/** The address if it leads to the web or to mail, or '' for any other kind. Relative ones would lead into this app. */
export function safeHref(url: string): string {
  return /^(?:https?:\/\/|mailto:)/i.test(url.trim()) ? url.trim() : '';
}

/** Line ends of one kind, and no character that hides or turns around what follows it. */
export const safeMarkdown = (text: string): string => safeText(text.replace(/\r\n?/g, '\n'));

const link = ({ href, title, children }: { href?: string; title?: string; children?: ReactNode }): ReactNode =>
  href === undefined || href === ''
    ? createElement('span', { className: 'underline decoration-dotted underline-offset-2' }, children)
    : createElement(
        'a',
        { href, title, className: LINK_CLASS, target: '_blank', rel: 'noreferrer noopener' },
        children,
      );

/** Parts that must not be left out, whatever else is put in its own form. */
export const SAFE_COMPONENTS: Components = {
  a: ({ href, title, children }) =>
    link({ ...(href === undefined ? {} : { href }), ...(title === undefined ? {} : { title }), children }),
  // Loading a picture would tell its server who reads, and when.
  img: ({ src, alt }) =>
    link({
      ...(typeof src === 'string' ? { href: src } : {}),
      children: alt === undefined || alt === '' ? (src ?? '') : alt,
    }),
};

const plugins = { remarkPlugins: [remarkGfm], urlTransform: safeHref } satisfies Options;

/** With the code of known languages coloured. */
export const COLOURED: Options = { ...plugins, rehypePlugins: [[rehypeHighlight, { detect: false }]] };

/** Without, for code that is long. */
export const PLAIN: Options = plugins;
