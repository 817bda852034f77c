"""From a detector and a data set to scores, results and a report."""
