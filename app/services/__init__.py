"""What the pages need and Streamlit does not: decisions, queue, colours, figures, words."""
