package dev.millrace.benchmarks.simulation;

import java.util.Arrays;

/**
 * The exact optimum of a batch server under Poisson arrivals, by policy iteration on the
 * semi-Markov decision process of average cost. The state is how many rows wait, the actions are to
 * wait for the next one or to serve so many; the cost is the time that requests spend in the
 * system, so that the average cost over the rate is the mean latency.
 *
 * <p>Source: Puterman, Markov Decision Processes, 1994, chapter 11.4.
 */
final class DecisionProcess {
  private static final int WAIT = 0;

  private final ServiceCurve curve;
  private final double perMilli;
  private final int states;
  private final int cap;

  /** By size and number: how likely it is that so many come while a batch of that size runs. */
  private final double[][] arrivals;

  /**
   * @param states waiting rows above which more are not told apart
   */
  DecisionProcess(ServiceCurve curve, double perMilli, int cap, int states) {
    this.curve = curve;
    this.perMilli = perMilli;
    this.cap = cap;
    this.states = states;
    arrivals = new double[cap + 1][states];
    for (int size = 1; size <= cap; size++) {
      double mean = perMilli * curve.millis(size);
      double logarithm = -mean;
      for (int count = 0; count < states; count++) {
        arrivals[size][count] = Math.exp(logarithm);
        logarithm += Math.log(mean) - Math.log(count + 1);
      }
    }
  }

  /** A policy and its mean latency. */
  static final class Solution {
    private final int[] actions;
    private final double meanMillis;

    private Solution(int[] actions, double meanMillis) {
      this.actions = actions;
      this.meanMillis = meanMillis;
    }

    /** The size to serve when so many rows wait, 0 to wait for one more. */
    int action(int waiting) {
      return actions[Math.min(waiting, actions.length - 1)];
    }

    double meanMillis() {
      return meanMillis;
    }
  }

  /** Takes everything, up to the cap. */
  Solution takeAll() {
    int[] actions = new int[states];
    for (int waiting = 1; waiting < states; waiting++) {
      actions[waiting] = Math.min(waiting, cap);
    }
    return new Solution(actions, values(actions)[states] / perMilli);
  }

  /** The best that there is. */
  Solution optimum() {
    int[] actions = takeAll().actions;
    while (true) {
      double[] values = values(actions);
      int[] better = new int[states];
      for (int waiting = 0; waiting < states; waiting++) {
        better[waiting] = best(waiting, actions[waiting], values);
      }
      if (Arrays.equals(better, actions)) {
        return new Solution(actions, values[states] / perMilli);
      }
      actions = better;
    }
  }

  private int best(int waiting, int current, double[] values) {
    int best = current;
    double least = worth(waiting, current, values) - 1e-9;
    for (int action = 0; action <= Math.min(waiting, cap); action++) {
      if (action == WAIT && waiting == states - 1) {
        continue;
      }
      double worth = worth(waiting, action, values);
      if (worth < least) {
        least = worth;
        best = action;
      }
    }
    return best;
  }

  private double worth(int waiting, int action, double[] values) {
    double sum = cost(waiting, action) - values[states] * time(action);
    if (action == WAIT) {
      return sum + values[waiting + 1];
    }
    double rest = 1;
    for (int count = 0; waiting - action + count < states - 1; count++) {
      sum += arrivals[action][count] * values[waiting - action + count];
      rest -= arrivals[action][count];
    }
    return sum + rest * values[states - 1];
  }

  private double time(int action) {
    return action == WAIT ? 1 / perMilli : curve.millis(action);
  }

  private double cost(int waiting, int action) {
    double time = time(action);
    return action == WAIT ? waiting * time : waiting * time + perMilli * time * time / 2;
  }

  /** Relative values by waiting rows, that of an empty queue 0, and the average cost at the end. */
  private double[] values(int[] actions) {
    int unknowns = states + 1;
    double[][] equations = new double[unknowns][unknowns + 1];
    for (int waiting = 0; waiting < states; waiting++) {
      double[] row = equations[waiting];
      int action = actions[waiting];
      row[waiting] += 1;
      row[states] = time(action);
      row[unknowns] = cost(waiting, action);
      if (action == WAIT) {
        row[waiting + 1] -= 1;
      } else {
        double rest = 1;
        for (int count = 0; waiting - action + count < states - 1; count++) {
          row[waiting - action + count] -= arrivals[action][count];
          rest -= arrivals[action][count];
        }
        row[states - 1] -= rest;
      }
    }
    equations[states][0] = 1;
    return solve(equations);
  }

  /** Gauss with row pivots. */
  private static double[] solve(double[][] equations) {
    int size = equations.length;
    for (int column = 0; column < size; column++) {
      int pivot = column;
      for (int row = column + 1; row < size; row++) {
        if (Math.abs(equations[row][column]) > Math.abs(equations[pivot][column])) {
          pivot = row;
        }
      }
      double[] swapped = equations[pivot];
      equations[pivot] = equations[column];
      equations[column] = swapped;
      for (int row = column + 1; row < size; row++) {
        double factor = equations[row][column] / swapped[column];
        if (factor != 0) {
          for (int i = column; i <= size; i++) {
            equations[row][i] -= factor * swapped[i];
          }
        }
      }
    }
    double[] solution = new double[size];
    for (int row = size - 1; row >= 0; row--) {
      double sum = equations[row][size];
      for (int i = row + 1; i < size; i++) {
        sum -= equations[row][i] * solution[i];
      }
      solution[row] = sum / equations[row][row];
    }
    return solution;
  }
}
