"""Works that docstrings cite by name, as in ``[Ba2016]_``; `sklstm._docstrings` lists those that one cites."""

REFERENCES = {
    "Absil2012": 'P.-A. Absil and J. Malick, "Projection-like retractions on matrix manifolds", SIAM Journal on '
    "Optimization 22(1), 2012, section 3.3.",
    "Ba2016": 'J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016.',
    "Bates1969": 'J. M. Bates and C. W. J. Granger, "The combination of forecasts", Operational Research Quarterly 20, '
    "1969.",
    "Beck2024": 'M. Beck et al., "xLSTM: extended long short-term memory", NeurIPS 2024, eqs. 8 to 15.',
    "Bradbury2017": 'J. Bradbury, S. Merity, C. Xiong and R. Socher, "Quasi-recurrent neural networks", ICLR 2017, '
    "eqs. 1 to 5.",
    "Breiman1984": 'L. Breiman, J. H. Friedman, R. A. Olshen and C. J. Stone, "Classification and regression trees", '
    "Wadsworth, 1984, section 3.4.3.",
    "Breiman1996": 'L. Breiman, "Stacked regressions", Machine Learning 24, 1996.',
    "CesaBianchi2006": 'N. Cesa-Bianchi and G. Lugosi, "Prediction, learning, and games", Cambridge University Press, '
    "2006, section 2.3.",
    "Chernozhukov2010": 'V. Chernozhukov, I. Fernández-Val and A. Galichon, "Quantile and probability curves without '
    'crossing", Econometrica 78(3), 2010.',
    "Cho2014": 'K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine '
    'translation", EMNLP 2014, eqs. 5 to 8.',
    "De2024": 'S. De et al., "Griffin: mixing gated linear recurrences with local attention for efficient language '
    'models", arXiv:2402.19427, 2024, section 2.4 and appendix A.',
    "Defazio2024": 'A. Defazio et al., "The road less scheduled", NeurIPS 2024, algorithm 1.',
    "Diebold2019": 'F. X. Diebold and M. Shin, "Machine learning for regularized survey forecast combination: '
    'partially-egalitarian LASSO and its derivatives", International Journal of Forecasting 35, 2019.',
    "Elman1990": 'J. L. Elman, "Finding structure in time", Cognitive Science 14(2), 1990.',
    "Feng2024": 'L. Feng, F. Tung, M. O. Ahmed, Y. Bengio and H. Hajimirsadeghi, "Were RNNs all we needed?", '
    "arXiv:2410.01201, 2024, section 3 and appendix B.",
    "Freund1997": 'Y. Freund and R. E. Schapire, "A decision-theoretic generalization of on-line learning and an '
    'application to boosting", Journal of Computer and System Sciences 55, 1997, section 2.',
    "Gal2016": 'Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural '
    'networks", NeurIPS 2016.',
    "Gers2000": 'F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget: continual prediction with LSTM", '
    "Neural Computation 12(10), 2000.",
    "Gers2000a": 'F. A. Gers and J. Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.',
    "Giles1992": 'C. L. Giles, C. B. Miller, D. Chen, H. H. Chen, G. Z. Sun and Y. C. Lee, "Learning and extracting '
    'finite state automata with second-order recurrent neural networks", Neural Computation 4(3), 1992.',
    "Glorot2010": 'X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural '
    'networks", AISTATS 2010, eq. 16.',
    "Golub1979": 'G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a good '
    'ridge parameter", Technometrics 21(2), 1979.',
    "Goyal2017": 'P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv:1706.02677, '
    "2017.",
    "Gu2022": 'A. Gu, A. Gupta, K. Goel and C. Ré, "On the parameterization and initialization of diagonal state space '
    'models", NeurIPS 2022.',
    "Gu2023": 'A. Gu and T. Dao, "Mamba: linear-time sequence modeling with selective state spaces", arXiv:2312.00752, '
    "2023, algorithm 2 and figure 3.",
    "Hansen1990": 'L. K. Hansen and P. Salamon, "Neural network ensembles", IEEE Transactions on Pattern Analysis and '
    "Machine Intelligence 12(10), 1990.",
    "Hasani2022": "R. Hasani, M. Lechner, A. Amini, L. Liebenwein, A. Ray, M. Tschaikowski, G. Teschl and D. Rus, "
    '"Closed-form continuous-time neural networks", Nature Machine Intelligence 4, 2022.',
    "He2015": 'K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015, eq. 10.',
    "He2016": 'K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR 2016.',
    "Hochreiter1997": 'S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997.',
    "Hoerl1970": 'A. E. Hoerl and R. W. Kennard, "Ridge regression: biased estimation for nonorthogonal problems", '
    "Technometrics 12(1), 1970.",
    "Huber1964": 'P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1), '
    "1964.",
    "Hyndman2006": 'R. J. Hyndman and A. B. Koehler, "Another look at measures of forecast accuracy", International '
    "Journal of Forecasting 22(4), 2006.",
    "James1961": 'W. James and C. Stein, "Estimation with quadratic loss", Proceedings of the Fourth Berkeley '
    "Symposium on Mathematical Statistics and Probability 1, 1961.",
    "Jozefowicz2015": 'R. Jozefowicz, W. Zaremba and I. Sutskever, "An empirical exploration of recurrent network '
    'architectures", ICML 2015.',
    "Kalamkar2019": 'D. Kalamkar et al., "A study of BFLOAT16 for deep learning training", arXiv:1905.12322, 2019.',
    "Katharopoulos2020": 'A. Katharopoulos, A. Vyas, N. Pappas and F. Fleuret, "Transformers are RNNs: fast '
    'autoregressive transformers with linear attention", ICML 2020, eqs. 16 to 20.',
    "Kim2020": 'Y. Kim, P. Carbonetto, M. Stephens and M. Anitescu, "A fast algorithm for maximum likelihood '
    'estimation of mixture proportions using sequential quadratic programming", Journal of Computational and Graphical '
    "Statistics 29, 2020.",
    "Kim2022": 'T. Kim et al., "Reversible instance normalization for accurate time-series forecasting against '
    'distribution shift", ICLR 2022.',
    "Kingma2015": 'D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.',
    "Koenker1978": 'R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46(1), 1978.',
    "Krause2016": 'B. Krause, L. Lu, I. Murray and S. Renals, "Multiplicative LSTM for sequence modelling", '
    "arXiv:1609.07959, 2016.",
    "Krueger2017": 'D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", ICLR '
    "2017, eqs. 3 and 4.",
    "Lai2018": 'G. Lai, W.-C. Chang, Y. Yang and H. Liu, "Modeling long- and short-term temporal patterns with deep '
    'neural networks", SIGIR 2018, section 3.6.',
    "Lawson1995": 'C. L. Lawson and R. J. Hanson, "Solving least squares problems", SIAM, 1995, chapter 23.',
    "Lei2018": 'T. Lei, Y. Zhang, S. I. Wang, H. Dai and Y. Artzi, "Simple recurrent units for highly parallelizable '
    'recurrence", EMNLP 2018, eqs. 1 to 5.',
    "Li2018": 'S. Li, W. Li, C. Cook, C. Zhu and Y. Gao, "Independently recurrent neural network (IndRNN): building a '
    'longer and deeper RNN", CVPR 2018, section 3.',
    "Lin2023": 'S. Lin et al., "SegRNN: segment recurrent neural network for long-term time series forecasting", '
    "arXiv:2308.11200, 2023.",
    "Lizaire2024": 'M. Lizaire, M. Rizvi-Martel, M. Gamal Abdel Hameed and G. Rabusseau, "A tensor decomposition '
    'perspective on second-order RNNs", ICML 2024.',
    "Loshchilov2017": 'I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR '
    "2017, eq. 5.",
    "Loshchilov2019": 'I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.',
    "McCullagh1989": 'P. McCullagh and J. A. Nelder, "Generalized linear models", 2nd edition, Chapman and Hall, '
    "1989, chapter 6.",
    "Merity2018": 'S. Merity, N. S. Keskar and R. Socher, "Regularizing and optimizing LSTM language models", ICLR '
    "2018.",
    "Miller2019": 'J. Miller and M. Hardt, "Stable recurrent models", ICLR 2019, section 2.2.',
    "Miyato2018": 'T. Miyato, T. Kataoka, M. Koyama and Y. Yoshida, "Spectral normalization for generative adversarial '
    'networks", ICLR 2018, section 2.1.',
    "Milakov2018": 'M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867, 2018.',
    "Orvieto2023": 'A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences", ICML 2023, section '
    "3.",
    "Pascanu2013": 'R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", '
    "ICML 2013, algorithm 1.",
    "Peng2023": 'B. Peng et al., "RWKV: reinventing RNNs for the transformer era", Findings of EMNLP 2023, section '
    "3.1.",
    "Platt1999": 'J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized '
    'likelihood methods", Advances in Large Margin Classifiers, 1999.',
    "Romano2019": 'Y. Romano, E. Patterson and E. J. Candès, "Conformalized quantile regression", NeurIPS 2019.',
    "Sak2014": 'H. Sak, A. Senior and F. Beaufays, "Long short-term memory based recurrent neural network '
    'architectures for large vocabulary speech recognition", arXiv:1402.1128, 2014, eqs. 7 to 12.',
    "Saleh2022": 'R. A. Saleh and A. K. M. E. Saleh, "Statistical properties of the log-cosh loss function used in '
    'machine learning", arXiv:2208.04564, 2022.',
    "Schuster1997": 'M. Schuster and K. K. Paliwal, "Bidirectional recurrent neural networks", IEEE Transactions on '
    "Signal Processing 45(11), 1997.",
    "Shazeer2020": 'N. Shazeer, "GLU variants improve transformer", arXiv:2002.05202, 2020, eq. 6.',
    "Smith2019": 'L. N. Smith and N. Topin, "Super-convergence: very fast training of neural networks using large '
    'learning rates", arXiv:1708.07120, 2019.',
    "Smith2023": 'J. T. H. Smith, A. Warrington and S. W. Linderman, "Simplified state space layers for sequence '
    'modeling", ICLR 2023.',
    "Stock2004": 'J. H. Stock and M. W. Watson, "Combination forecasts of output growth in a seven-country data set", '
    "Journal of Forecasting 23, 2004.",
    "Sun2023": 'Y. Sun et al., "Retentive network: a successor to transformer for large language models", '
    "arXiv:2307.08621, 2023, eqs. 6 to 8.",
    "Szegedy2016": 'C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, "Rethinking the inception '
    'architecture for computer vision", CVPR 2016, section 7.',
    "Voelker2019": 'A. Voelker, I. Kajić and C. Eliasmith, "Legendre memory units: continuous-time representation in '
    'recurrent neural networks", NeurIPS 2019.',
    "Wu2016": 'Y. Wu, S. Zhang, Y. Zhang, Y. Bengio and R. Salakhutdinov, "On multiplicative integration with '
    'recurrent neural networks", NeurIPS 2016.',
    "vanHasselt2016": 'H. van Hasselt et al., "Learning values across many orders of magnitude", NeurIPS 2016.',
    "Vaswani2017": 'A. Vaswani et al., "Attention is all you need", NeurIPS 2017, eq. 1 and section 3.5.',
    "Wang2024": 'X. Wang and L. Aitchison, "How to set AdamW\'s weight decay as you scale model and dataset size", '
    "arXiv:2405.13698, 2024.",
    "Williams1990": 'R. J. Williams and J. Peng, "An efficient gradient-based algorithm for on-line training of '
    'recurrent network trajectories", Neural Computation 2(4), 1990.',
    "Xiong2020": 'R. Xiong et al., "On layer normalization in the transformer architecture", ICML 2020, figure 1 (b).',
    "Zadrozny2002": 'B. Zadrozny and C. Elkan, "Transforming classifier scores into accurate multiclass probability '
    'estimates", KDD 2002.',
    "Zaremba2014": 'W. Zaremba, I. Sutskever and O. Vinyals, "Recurrent neural network regularization", '
    "arXiv:1409.2329, 2014.",
    "Zeng2023": 'A. Zeng, M. Chen, L. Zhang and Q. Xu, "Are transformers effective for time series forecasting?", '
    "AAAI 2023.",
    "Zhang2019": 'B. Zhang and R. Sennrich, "Root mean square layer normalization", NeurIPS 2019, eq. 4.',
    "Zhou2016": 'G.-B. Zhou, J. Wu, C.-L. Zhang and Z.-H. Zhou, "Minimal gated unit for recurrent neural networks", '
    "International Journal of Automation and Computing 13(3), 2016, eqs. 12 to 14.",
    "Zhou2016a": 'P. Zhou et al., "Attention-based bidirectional long short-term memory networks for relation '
    'classification", ACL 2016, eqs. 9 to 11.',
    "Zilly2017": 'J. G. Zilly, R. K. Srivastava, J. Koutník and J. Schmidhuber, "Recurrent highway networks", ICML '
    "2017, eqs. 7 to 9.",
}
