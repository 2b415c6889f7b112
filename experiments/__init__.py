"""Questions and how they are answered: the runner, its statistics, figures and reports, and one
folder per experiment."""
