import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  JUDGED_TEXT_BYTES_MAX,
  STATEMENT_QUESTION_BYTES_MAX,
  STATEMENT_QUESTION_BYTES_PER_S,
  STATEMENT_QUESTIONS_MAX,
} from '../limits.js';
import { QuestionBudget } from './question-budget.js';

test('only so many questions wait for their answer', () => {
  const budget = new QuestionBudget();
  for (let n = 0; n < STATEMENT_QUESTIONS_MAX; n += 1) {
    assert.ok(budget.admits(100, 0));
    budget.asked(100);
  }
  assert.ok(!budget.admits(100, 0));
  budget.answered(100);
  assert.ok(budget.admits(100, 0));
});

test('nothing waits behind a long text but what is short', () => {
  const budget = new QuestionBudget();
  assert.ok(budget.admits(JUDGED_TEXT_BYTES_MAX, 0));
  budget.asked(STATEMENT_QUESTION_BYTES_MAX - 100);
  assert.ok(budget.admits(100, 0));
  assert.ok(!budget.admits(101, 0));
});

test('only so much comes in a second', () => {
  const budget = new QuestionBudget();
  let bytes = 0;
  const askAll = (now: number): void => {
    for (; budget.admits(10_000, now); bytes += 10_000) {
      budget.asked(10_000);
      budget.answered(10_000);
    }
  };
  askAll(0);
  assert.ok(bytes <= 2 * STATEMENT_QUESTION_BYTES_PER_S && bytes > STATEMENT_QUESTION_BYTES_PER_S);
  const burst = bytes;
  for (let now = 100; now <= 10_000; now += 100) askAll(now);
  const perSecond = (bytes - burst) / 10;
  assert.ok(Math.abs(perSecond - STATEMENT_QUESTION_BYTES_PER_S) < 10_000, `${perSecond}`);
});
