/**
 * A reporter for node's test runner that writes the counts of one run: tests, not the suites around them. A line after
 * each, so that the last one is right even for a run that was stopped.
 */
export default async function* countReporter(events) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    if (type === 'test:pass') {
      if (data.skip !== undefined || data.todo !== undefined) counts.skipped++;
      else if (data.details.type !== 'suite') counts.passed++;
    } else if (type === 'test:fail') {
      // A suite fails because of its tests, which were counted, or by itself (a hook), which was not.
      const byItsTests = data.details.error?.failureType === 'subtestsFailed';
      if (data.details.type !== 'suite' || !byItsTests) counts.failed++;
    }
    yield `${JSON.stringify(counts)}\n`;
  }
}
