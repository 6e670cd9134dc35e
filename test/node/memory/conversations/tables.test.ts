// What the statements cost: each goes by an index, however much is kept.
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { migrate } from '../../../../node/memory/conversations/schema.ts';
import { STATEMENTS, Tables } from '../../../../node/memory/conversations/tables.ts';

/** Steps of a statement, as SQLite plans it. */
function planOf(sql: string): readonly string[] {
  const database = new DatabaseSync(':memory:');
  try {
    migrate(database);
    return database
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map(({ detail }) => String(detail));
  } finally {
    database.close();
  }
}

/** Reads a table or an index from its beginning to its end. The index of words is asked by words, or by numbers of rows. */
const scans = (plan: readonly string[]): readonly string[] =>
  plan.filter((step) => /^SCAN (conversation|message)\b/.test(step) || /VIRTUAL TABLE INDEX 0:$/.test(step));

/** One counts the conversations, which are bounded, when one more comes; one begins with those that are under way. */
const COUNTED = ['count', 'unfinished'];

describe('a statement', () => {
  it.each(Object.entries(STATEMENTS).filter(([name]) => !COUNTED.includes(name)))(
    '%s goes by an index',
    (_name, sql) => {
      expect(scans(planOf(sql))).toEqual([]);
    },
  );

  it('would be seen to go without', () => {
    expect(scans(planOf('SELECT id FROM message WHERE parent = ?'))).not.toEqual([]);
    expect(scans(planOf('SELECT rowid FROM text_found'))).not.toEqual([]);
  });

  it('that looks for answers under way reads those alone', () => {
    expect(planOf(STATEMENTS.unfinished)).toEqual(['SCAN message USING INDEX message_unfinished']);
  });

  it('that lists reads in the order of the list, and sorts nothing', () => {
    expect(planOf(STATEMENTS.list).join()).not.toContain('TEMP B-TREE');
    expect(planOf(STATEMENTS.messages).join()).not.toContain('TEMP B-TREE');
  });
});

describe('the tables without their guards', () => {
  const head = { title: '', model: null, system: '', settings: {}, leaf: null, createdAtMs: 1, updatedAtMs: 1 };

  it('would go round in a circle that a file brings', () => {
    const database = new DatabaseSync(':memory:');
    migrate(database);
    const tables = new Tables(database);
    const n = tables.add({ id: 'c', ...head });
    const common = { content: 'x', state: 'done', createdAtMs: 1 } as const;
    tables.addMessage(n, { id: 'u', parent: 'a', role: 'user', ...common });
    tables.addMessage(n, { id: 'a', parent: 'u', role: 'assistant', ...common });
    expect(tables.branch('u', 50)).toHaveLength(50);
    database.close();
  });

  it('would take what is typed for a language', () => {
    const database = new DatabaseSync(':memory:');
    migrate(database);
    const tables = new Tables(database);
    for (const match of ['"', 'a OR', 'NEAR(', '*']) {
      expect(() => tables.search({ match, matches: 9, before: undefined, limit: 9 })).toThrow();
    }
    database.close();
  });
});
