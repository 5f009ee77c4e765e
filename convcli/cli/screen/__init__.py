"""What is shown: progress, reports, explanations, previews, tables, notices."""
