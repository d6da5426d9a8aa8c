"""Statistics in pure numpy: judged in the tests by scipy, scikit-learn and fairlearn."""
