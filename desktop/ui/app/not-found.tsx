// An address that leads nowhere.
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { Empty } from '../components/empty.tsx';
import { Page } from '../components/page.tsx';
import { text } from '../text/en.ts';

export function NotFound(): ReactNode {
  return (
    <Page title={text.common.notFound}>
      <Empty
        title={text.common.notFound}
        action={
          <Link href="/" className="text-accent underline underline-offset-2">
            {text.common.toOverview}
          </Link>
        }
      >
        {text.common.notFoundText}
      </Empty>
    </Page>
  );
}
