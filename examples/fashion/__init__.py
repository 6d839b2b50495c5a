"""Ten kinds of clothing: 10,000 Fashion-MNIST images, rules on silhouettes, and baskets."""
